{{ config(post_hook="{{ add_index(\"(customer_id, coalesce(invoice_id, ''))\") }}", meta={
    'key': ['customer_id', 'payment_id'],
    'record': ['payment_id'],
    'columns': ['invoice_id', 'paid_on', 'amount'],
    'cell': "coalesce(invoice_id, '')",
    'found_by': ['paid_on'],
}) }}

-- Grain: payment or credit note.
{{ newest_versions() }}
