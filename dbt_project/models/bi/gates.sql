-- Every expectation of every gate of every run.
with results as (select * from {{ source('ops', 'gate_result') }})

select
    run_id,
    gate,
    verdict,
    severity,
    expectation,
    data_set,
    failed_rows,
    message
from results
