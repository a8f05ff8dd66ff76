with final as (
    select *, recorded_at_utc as received_at_utc from {{ ref('stg_intake__outcome') }}
)

{{ contracted('final') }}
