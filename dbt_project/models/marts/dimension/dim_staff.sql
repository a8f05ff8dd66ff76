with final as (
    select * from {{ ref('staff') }}
)

{{ contracted('final') }}
