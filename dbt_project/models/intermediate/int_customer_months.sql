{{ config(materialized='view') }}

-- Grain: customer × calendar month. The cells as this run sees them: months_ago 1 = the last closed month, 0 = open.
with run as (select * from {{ ref('stg_ops__run') }}),

cells as (select * from {{ ref('int_customer_cells') }})

select
    cells.*,
    run.open_month_number - cells.month_number as months_ago
from cells
cross join run
