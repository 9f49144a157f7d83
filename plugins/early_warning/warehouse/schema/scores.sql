-- Scores of customers that credit management computes and keeps; indicators read them.
create schema if not exists scores;

create table if not exists scores.credit_scores (
    customer_id text not null,
    scored_on date not null,
    score numeric not null,
    primary key (customer_id, scored_on)
);
