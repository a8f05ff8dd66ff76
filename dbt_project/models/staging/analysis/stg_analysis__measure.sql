-- Files are named by run key, so a repeated run has replaced its rows already; the rank only guards against a copy of a file.
with ranked as (
    select
        *,
        row_number() over (
            partition by site_id, run_key, series_uid, procedure, detector, aspect, region, measure
            order by series_recorded_at_utc desc
        ) as newest_first
    from {{ source('lake', 'measures') }}
)

select
    site_id, run_key, analysis, study_uid, series_uid, accession_number, station_name, device_serial, manufacturer, model, modality,
    procedure, status, {{ stored_reason('reason', 'reason_code', 'reason_args') }} as reason, detector, aspect, region,
    measure, value, unit, uncertainty, {{ adapter.quote('at') }} as found_at, method, method_version,
    {{ utc('acquired_at_utc') }} as acquired_at_utc,
    {{ utc('series_recorded_at_utc') }} as series_recorded_at_utc,
    instance_count,
    picture,
    switched_off
from ranked
where newest_first = 1
