with told as (
    select
        site_id, event_id, device_id, {{ null_text() }} as accession_number, 'change' as kind, action, state, reason, policy_id, policy_version, approver, override_id, staff_id,
        override_reason, until_utc, occurred_at_utc, recorded_at_utc
    from {{ ref('stg_dicom__hold') }}

    union all

    select
        site_id, event_id, {{ null_text() }} as device_id, accession_number, 'examination' as kind, action,
        case when action <> 'offered' then 'blocked' end as state, reason, policy_id, policy_version, approver, {{ null_text() }} as override_id,
        {{ null_text() }} as staff_id, {{ null_text() }} as override_reason, cast(null as timestamp) as until_utc, occurred_at_utc, recorded_at_utc
    from {{ ref('stg_dicom__examination_hold') }} -- the node tells the number of one examination

    union all

    select
        o.site_id, o.event_id, o.device_id, {{ null_text() }} as accession_number, 'override' as kind,
        case when p.staff_id is null then 'not_obeyed' else 'obeyed' end as action,
        {{ null_text() }} as state,
        case when p.staff_id is null then {{ because('override.person_unknown') }} end as reason,
        {{ null_text() }} as policy_id, cast(null as integer) as policy_version, {{ null_text() }} as approver, o.event_id as override_id,
        o.staff_id, o.override_reason, o.until_utc, o.occurred_at_utc, o.recorded_at_utc
    from {{ ref('stg_door__hold_override') }} as o
    left join {{ ref('staff') }} as p on o.site_id = p.site_id and o.staff_id = p.staff_id
),

final as (
    select * from told
)

{{ contracted('final') }}
