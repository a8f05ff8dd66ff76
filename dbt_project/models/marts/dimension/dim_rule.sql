-- The version in force on the local day of as_of, or else the latest.
with numbered as (
    select
        r.*,
        s.site_id,
        row_number() over (
            partition by s.site_id, r.rule_id
            order by
                case
                    when
                        r.valid_from <= {{ local_day(as_of(), 's.time_zone') }}
                        and (r.valid_until is null or r.valid_until >= {{ local_day(as_of(), 's.time_zone') }})
                        then 0
                    else 1
                end,
                r.version desc
        ) as best_first
    from {{ ref('rules') }} as r
    cross join {{ ref('sites') }} as s
),

final as (
    select * from numbered where best_first = 1 and site_id = '{{ var("site_id") }}'
)

{{ contracted('final') }}
