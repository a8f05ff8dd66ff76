with final as (
    select * from {{ ref('rooms') }}
)

{{ contracted('final') }}
