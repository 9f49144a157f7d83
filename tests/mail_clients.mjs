// What widespread mail programs don't show of our mails, or only in part, by the tables of caniemail.com.
//
//     node mail_clients.mjs BASELINE MAIL.html …           says what is not in the baseline, and fails
//     node mail_clients.mjs --write BASELINE MAIL.html …   records it anew
//
// Most of it is there to be dropped: dark colours, round corners, margins on a phone. What is new here deserves a look.
import { readFileSync, writeFileSync } from "node:fs";
import { caniemail } from "caniemail";

const CLIENTS = ["apple-mail.*", "gmail.*", "outlook.*", "samsung-email.*", "yahoo.*"];

const words = process.argv.slice(2);
const isWriting = words[0] === "--write";
const [baseline, ...mails] = isWriting ? words.slice(1) : words;

const found = new Set();
for (const mail of mails) {
  const { issues } = caniemail({ clients: CLIENTS, html: readFileSync(mail, "utf8") });
  for (const [kind, note] of [["errors", ""], ["warnings", " (in part)"]]) {
    for (const [client, ofClient] of issues[kind]) {
      for (const { title } of ofClient) found.add(`${title} · ${client}${note}`);
    }
  }
}
const lines = [...found].sort();
if (isWriting) {
  writeFileSync(baseline, lines.join("\n") + "\n");
} else {
  const known = new Set(readFileSync(baseline, "utf8").split("\n"));
  const fresh = lines.filter((line) => !known.has(line));
  console.log(fresh.length ? `not in ${baseline}:\n${fresh.join("\n")}` : `${lines.length} findings, all of them known`);
  process.exitCode = fresh.length ? 1 : 0;
}
