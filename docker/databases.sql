-- Roles and databases of docker-compose.yml, run once by PostgreSQL's image in the database warehouse. As in the
-- embedded server: early_warning owns the warehouse and looks after the reader's role, airflow owns its metadata.
\set ON_ERROR_STOP on
\getenv owner_password EARLY_WARNING_PASSWORD
\getenv reader_password EARLY_WARNING_READER_PASSWORD
\getenv airflow_password AIRFLOW_PASSWORD

create role early_warning login createrole password :'owner_password';
create role early_warning_reader login password :'reader_password';
create role airflow login password :'airflow_password';
grant early_warning_reader to early_warning with admin option;

create database airflow owner airflow;
alter database warehouse owner to early_warning;
revoke all on database airflow, warehouse, postgres, template1 from public;
grant connect on database warehouse to early_warning_reader;
revoke all on schema public from public;
\connect airflow
revoke all on schema public from public;
