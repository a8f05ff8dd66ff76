with final as (
    select * from {{ ref('int_examination__dose') }}
)

{{ contracted('final') }}
