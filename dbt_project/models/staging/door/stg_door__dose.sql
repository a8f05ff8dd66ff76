{%- set happened = 'greatest(' ~ json_utc('data', '$.assayed_at_utc') ~ ', ' ~ json_utc('data', '$.administered_at_utc') ~ ')' -%}
select
    site_id,
    event_id,
    record_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.agent') }} as agent,
    {{ json_text('data', '$.nuclide') }} as nuclide,
    {{ json_number('data', '$.prescribed_mbq') }} as prescribed_mbq,
    {{ json_number('data', '$.assayed_mbq') }} as assayed_mbq,
    {{ by_arrival('$.assayed_at_utc', happened) }} as assayed_at_utc,
    {{ json_number('data', '$.residual_mbq') }} as residual_mbq,
    {{ by_arrival('$.residual_at_utc', happened) }} as residual_at_utc,
    {{ by_arrival('$.administered_at_utc', happened) }} as administered_at_utc,
    {{ json_text('data', '$.lot') }} as lot,
    {{ json_utc('data', '$.lot_expires_at_utc') }} as lot_expires_at_utc,
    {{ json_text('data', '$.route') }} as route,
    {{ json_text('data', '$.staff_id') }} as staff_id
from {{ ref('stg_lake__event') }}
where type = 'examination.dose'
