{{ config(post_hook="{{ add_index('(due_on)') }}", meta={
    'key': ['customer_id', 'invoice_id'],
    'record': ['invoice_id'],
    'columns': ['amount', 'issued_on', 'due_on', 'disputed_on', 'written_off_on', 'voided_on'],
    'cell': 'invoice_id',
    'found_by': ['issued_on', 'disputed_on', 'written_off_on', 'voided_on'],
}) }}

-- Grain: invoice.
{{ newest_versions() }}
