-- A question that was not asked, or was answered with null, has no row.
with told as (
    select
        site_id,
        event_id,
        record_id,
        recorded_at_utc,
        journal_offset,
        {{ json_text('data', '$.accession_number') }} as accession_number,
        {{ told_moment('$.asked_at_utc') }} as asked_at_utc,
        {{ json_text('data', '$.staff_id') }} as staff_id,
        {{ json_utc('data', '$.fasting_since_utc') }} as fasting_since_utc,
        {{ json_number('data', '$.hydration_ml') }} as hydration_ml,
        {{ json_number('data', '$.glucose_mmol_per_l') }} as glucose_mmol_per_l,
        {{ json_text('data', '$.medication') }} as medication
    from {{ ref('stg_lake__event') }}
    where type = 'examination.preparation'
),

each_one as (
    select *, 'fasting_h' as item, fasting_since_utc as since_utc, cast(null as double) as value, {{ null_text() }} as drugs
    from told
    where fasting_since_utc is not null

    union all

    select *, 'hydration_ml', null, hydration_ml, null
    from told
    where hydration_ml is not null

    union all

    select *, 'glucose_mmol_per_l', null, glucose_mmol_per_l, null
    from told
    where glucose_mmol_per_l is not null

    union all

    select *, 'medication', null, null, medication
    from told
    where medication is not null
)

select site_id, event_id, record_id, item, accession_number, asked_at_utc, staff_id, since_utc, value, drugs, recorded_at_utc, journal_offset
from each_one
