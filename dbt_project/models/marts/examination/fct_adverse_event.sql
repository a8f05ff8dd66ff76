with numbered as (
    select
        *,
        row_number() over (partition by site_id, event_number order by recorded_at_utc desc, journal_offset desc) as newest_first
    from ({{ linked('stg_door__adverse_event', only_joined=false) }}) as a
),

final as (
    select * from numbered where newest_first = 1
)

{{ contracted('final') }}
