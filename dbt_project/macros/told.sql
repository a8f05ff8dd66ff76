{#
  Which of several tellings about one thing is the newest; `judgement/newest.py` says the same for doors and worklist, and a
  contract test plays the same tellings through both.
#}

{# How long a moment may stand for, in seconds, by what it was told to; 0 of events of before. #}
{% macro precision_s(precision) -%}
  case {{ precision }}
    when 'year' then 31622400 when 'month' then 2678400 when 'day' then 86400 when 'hour' then 3600 when 'minute' then 60 when 'second' then 1
    else 0
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
