{#
  Which phantom a test was made with, as the technologist declared it: a `device.check` whose check is `phantom_used` (all tests of the device
  on that local day) or `phantom_used/<procedure>` (only that one), and whose note is the serial number. Images name no phantom: their patient
  id names the device. The latest word about a day and procedure holds.
#}
with told as (
    select
        c.site_id,
        c.device_id,
        {{ local_day('c.performed_at_utc', 's.time_zone') }} as day,
        nullif(substr(c.check_name, 14), '') as procedure,
        trim(c.note) as phantom_serial,
        row_number() over (
            partition by c.site_id, c.device_id, {{ local_day('c.performed_at_utc', 's.time_zone') }}, c.check_name
            order by c.performed_at_utc desc, c.recorded_at_utc desc, c.event_id
        ) as newest_first
    from {{ ref('stg_door__check') }} as c
    inner join {{ ref('sites') }} as s on c.site_id = s.site_id
    where (c.check_name = 'phantom_used' or c.check_name like 'phantom_used/%') and nullif(trim(c.note), '') is not null
)

select
    t.site_id,
    t.device_id,
    t.day,
    t.procedure,
    t.phantom_serial,
    p.type as phantom_type,
    case
        when p.phantom_serial is null then 'unknown'
        when t.day < p.calibrated_on or t.day > p.valid_until then 'expired'
        else 'valid'
    end as phantom_state,
    case
        when p.phantom_serial is null then {{ because('phantom.not_registered', {'phantom': 't.phantom_serial'}) }}
        when t.day < p.calibrated_on or t.day > p.valid_until
            then
                {{ because('phantom.out_of_calibration', {'phantom': 't.phantom_serial', 'valid_from': text('p.calibrated_on'),
                    'valid_until': "coalesce(" ~ text('p.valid_until') ~ ", '…')"}) }}
    end as phantom_reason
from told as t
left join {{ ref('phantoms') }} as p on t.site_id = p.site_id and t.phantom_serial = p.phantom_serial
where t.newest_first = 1
