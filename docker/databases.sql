-- Roles and databases of docker-compose.yml, run once by PostgreSQL's image in the database warehouse. As in the
-- embedded server: early_warning owns the warehouse and looks after the reader's role, airflow owns its metadata, demo_crm
-- is the simulated company's CRM.
\set ON_ERROR_STOP on
\getenv owner_password EARLY_WARNING_PASSWORD
\getenv reader_password EARLY_WARNING_READER_PASSWORD
\getenv airflow_password AIRFLOW_PASSWORD
\getenv crm_password DEMO_CRM_PASSWORD
\getenv crm_reader_password DEMO_CRM_READER_PASSWORD

create role early_warning login createrole password :'owner_password';
create role early_warning_reader login password :'reader_password';
create role airflow login password :'airflow_password';
create role demo_crm login password :'crm_password';
create role demo_crm_reader login password :'crm_reader_password';
grant early_warning_reader to early_warning with admin option;

create database airflow owner airflow;
create database demo_crm owner demo_crm;
alter database warehouse owner to early_warning;
revoke all on database airflow, demo_crm, warehouse, postgres, template1 from public;
grant connect on database warehouse to early_warning_reader;
grant connect on database demo_crm to demo_crm_reader;
revoke all on schema public from public;
\connect airflow
revoke all on schema public from public;
\connect demo_crm
revoke all on schema public from public;
grant usage on schema public to demo_crm_reader;
alter default privileges for role demo_crm grant select on tables to demo_crm_reader;
