{#
  Which of several tellings about one thing is the newest; `judgement/newest.py` says the same for doors and worklist, and a
  contract test plays the same tellings through both.
#}

{# How long a moment may stand for, in seconds: `span` where the event says it, else by what it was told to; 0 of events of before. #}
{% macro precision_s(precision, span=none) -%}
  {%- if span %}coalesce(cast(try_cast({{ span }} as double) as integer), {% endif -%}
  case {{ precision }}
    when 'year' then 31622400 when 'month' then 2678400 when 'day' then 86400 when 'hour' then 3600 when 'minute' then 60 when 'second' then 1
    else 0
  end{% if span %}){% endif %}
{%- endmacro %}

{# Whether OBX-11 (HL7 table 0085) says that there is a result; a message that says no status has one. `judgement/laboratory.py` has the same codes. #}
{% macro is_result_status(status) -%}
  (coalesce(upper(trim({{ status }})), '') in ('', 'F', 'C', 'P', 'R', 'S', 'U', 'A', 'B', 'V'))
{%- endmacro %}

{# A moment that an event says, at the latest when it was recorded: a sender's clock that is fast tells nothing of the future. #}
{% macro told_moment(path) -%}
  least({{ json_utc('data', path) }}, recorded_at_utc)
{%- endmacro %}

{#
  One of several moments that an event says of one thing, by the clock of its sender: where the one that had `happened` lies up to 15 minutes after
  the arrival, the clock is fast and all are taken back by that, so that what lies between them stays; further ahead, at the latest the arrival.
#}
{% macro by_arrival(path, happened) -%}
  case
    when coalesce({{ happened }} <= recorded_at_utc, true) then {{ json_utc('data', path) }}
    when {{ seconds_between('recorded_at_utc', happened) }} <= 900
      then {{ plus_seconds(json_utc('data', path), 'cast(-ceil(' ~ seconds_between('recorded_at_utc', happened) ~ ') as integer)') }}
    else {{ told_moment(path) }}
  end
{%- endmacro %}

{#
  The rows of a relation with `told_at_utc`, the moment that each counts from (the latest within it that had arrived before, where it was told
  to less than the second), and `told_behind`, whether it follows a finer one of that moment. Needs `event_id, recorded_at_utc, journal_offset`.
#}
{% macro as_told(relation, keys, moment='occurred_at_utc', precision='occurred_precision_s') -%}
  select
      t.*,
      coalesce(f.latest_utc, t.{{ moment }}) as told_at_utc,
      f.latest_utc is not null as told_behind
  from {{ relation }} as t
  left join (
      select {% for key in keys %}a.{{ key }}, {% endfor %}a.event_id, a.{{ moment }}, max(b.{{ moment }}) as latest_utc
      from {{ relation }} as a
      inner join {{ relation }} as b
          on
              {% for key in keys %}a.{{ key }} = b.{{ key }} and {% endfor %}b.{{ moment }} > a.{{ moment }}
              and {{ seconds_between('a.' ~ moment, 'b.' ~ moment) }} < a.{{ precision }}
              and (
                  b.recorded_at_utc < a.recorded_at_utc
                  or (b.recorded_at_utc = a.recorded_at_utc and b.journal_offset < a.journal_offset)
              )
      where a.{{ precision }} > 0
      group by {% for key in keys %}a.{{ key }}, {% endfor %}a.event_id, a.{{ moment }}
  ) as f on {% for key in keys %}t.{{ key }} = f.{{ key }} and {% endfor %}t.event_id = f.event_id and t.{{ moment }} = f.{{ moment }}
{%- endmacro %}

{% macro newest_told() -%}
  told_at_utc desc, told_behind desc, recorded_at_utc desc, journal_offset desc
{%- endmacro %}
