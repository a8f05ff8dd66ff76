with heads as (
    select journal, max(journal_offset) as head
    from {{ source('lake', 'events') }}
    where journal is not null
    group by journal
),

lake as (
    select '{' || coalesce({{ join_text("'\"' || journal || '\": ' || " ~ text('head'), ', ') }}, '') || '}' as lake_head
    from heads
),

final as (
    select
        '{{ env_var("PHOTOPEAK_RUN_KEY", "local") }}' as release_id,
        '{{ var("site_id") }}' as site_id,
        {{ as_of() }} as as_of_utc,
        {{ as_of() }} as built_at_utc,
        l.lake_head,
        (select count(*) from {{ ref('fct_examination') }}) as examinations,
        (select count(*) from {{ ref('int_series__current') }}) as series,
        (select count(*) from {{ ref('fct_finding') }}) as findings
    from lake as l
)

{{ contracted('final') }}
