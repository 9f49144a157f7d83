{{ config(meta={'key': ['customer_id'], 'all_if': 'is_all_changed'}) }}

-- Grain: customer whose way of paying has to be looked at anew: an invoice or payment came, went or passed, or an
-- invoice fell due. All when the month or the policy has changed, since the window then begins elsewhere.
with run as (select * from {{ ref('stg_ops__run') }}),

changed as (select * from {{ ref('int_invoices_changed') }}),

invoices as (select * from {{ ref('base_finance__invoices') }}),

balances as (select * from {{ ref('int_invoice_balances') }}),

moved as ({{ customers_moved() }})

select customer_id
from changed
union
select customer_id
from invoices
where {{ passed('due_on', staged_range(days_ago=1)) }}
union
select customer_id
from balances
where (select run.is_all_changed from run)
union
select customer_id
from moved
