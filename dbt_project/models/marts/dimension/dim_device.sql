-- One more row a site stands for every device that is not registered: its images are measured and shown, and raise no finding.
with final as (
    select * from {{ ref('devices') }}

    union all

    select
        'UNREGISTERED' as device_id, site_id, 'Unregistered device' as name_en, '未登记设备' as name_zh, 'unregistered' as kind,
        null as modality, null as manufacturer, null as model, null as station_name, null as device_serial, null as room_id,
        null as in_service_from, null as commissioned_on
    from {{ ref('sites') }}
)

{{ contracted('final') }}
