select
    site_id,
    event_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.study_uid') }} as study_uid,
    {{ json_text('data', '$.series_uid') }} as series_uid,
    {{ json_text('data', '$.modality') }} as modality,
    {{ json_text('data', '$.sop_class_uid') }} as sop_class_uid,
    {{ json_text('data', '$.image_type') }} as image_type,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.patient_pseudonym') }} as patient_pseudonym,
    {{ json_boolean('data', '$.is_phantom') }} as is_phantom,
    {{ json_text('data', '$.manufacturer') }} as manufacturer,
    {{ json_text('data', '$.model') }} as model,
    {{ json_text('data', '$.station_name') }} as station_name,
    {{ json_text('data', '$.device_serial') }} as device_serial,
    {{ json_text('data', '$.series_description') }} as series_description,
    {{ json_text('data', '$.protocol_name') }} as protocol_name,
    {{ json_utc('data', '$.acquired_at_utc') }} as acquired_at_utc,
    {{ json_count('data', '$.instances') }} as instance_count
from {{ ref('stg_lake__event') }}
where type = 'dicom.series'
