-- The latest period that has begun by as_of speaks for a credential; one that begins only later speaks when there is no other.
with numbered as (
    select
        *,
        row_number() over (
            partition by site_id, staff_id, credential
            order by case when valid_from_utc <= {{ as_of() }} then 0 else 1 end, valid_from_utc desc, valid_until_utc desc
        ) as latest_first
    from {{ ref('int_credential__period') }}
),

invalid as (
    select site_id, staff_id, count(*) as steps
    from {{ ref('fct_examination_step') }}
    where not credential_valid
    group by site_id, staff_id
),

final as (
    select
        n.site_id, n.staff_id, n.credential, n.role, n.issuer, n.valid_from_utc, n.valid_until_utc,
        case
            when n.valid_until_utc <= {{ as_of() }} then 'expired'
            when n.valid_until_utc <= {{ plus_minutes(as_of(), var('expires_soon_days') * 1440) }} then 'expires_soon'
            else 'valid'
        end as state,
        floor({{ seconds_between(as_of(), 'n.valid_until_utc') }} / 86400.0) as days_left,
        coalesce(i.steps, 0) as steps_while_invalid
    from numbered as n
    left join invalid as i on n.site_id = i.site_id and n.staff_id = i.staff_id
    where n.latest_first = 1
)

{{ contracted('final') }}
