{# A pathway whose synapses a formula numbers, without delay: a loop over a row or a column of the
   matrix of pairs instead of Brian2's queue of synapse indices. Same synapses, same order. The
   neurons of all replicas are in one group; `_row` and `_column` are their places in it. #}
{# USES_VARIABLES { _synaptic_pre, _synaptic_post } #}
{% extends 'common_synapses.cpp' %}

{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% set _events = get_array_name(pathway.source.variables[pathway.eventspace_name], access_data=False) %}
    {% set _replicas = pathway.synapses.replicas %}
    {% set _pattern = pathway.synapses.pattern %}
    const int32_t _n_pre = {{ pathway.synapses.source.N // _replicas }};
    const int32_t _n_post = {{ pathway.synapses.target.N // _replicas }};
    const int32_t _n_events = {{_events}}[{{ pathway.source.N }}];
    for (int32_t _event = 0; _event < _n_events; _event++)
    {
        {% if pathway.prepost == 'pre' %}
        const int32_t _row = {{_events}}[_event];
        {% if _replicas > 1 %}
        const int32_t _first_pre = _row / _n_pre * _n_pre, _first_post = _row / _n_pre * _n_post;
        {% else %}
        const int32_t _first_pre = 0, _first_post = 0;
        {% endif %}
        {% if _pattern == 'one_to_one' %}
        const int32_t _column = _row - _first_pre + _first_post;
        {% else %}
        for (int32_t _column = _first_post; _column < _first_post + _n_post; _column++)
        {% endif %}
        {% else %}
        const int32_t _column = {{_events}}[_event];
        {% if _replicas > 1 %}
        const int32_t _first_pre = _column / _n_post * _n_pre, _first_post = _column / _n_post * _n_post;
        {% else %}
        const int32_t _first_pre = 0, _first_post = 0;
        {% endif %}
        {% if _pattern == 'one_to_one' %}
        const int32_t _row = _column - _first_post + _first_pre;
        {% else %}
        for (int32_t _row = _first_pre; _row < _first_pre + _n_pre; _row++)
        {% endif %}
        {% endif %}
        {
            const size_t _of_row = _row {{ '- _first_pre' if pathway.synapses.shared else '' }};
            {% if _pattern == 'all' %}
            const size_t _idx = _of_row * _n_post + _column - _first_post;
            {% elif _pattern == 'one_to_one' %}
            const size_t _idx = _of_row;
            {% else %}
            if (_column == _row) continue;
            const size_t _idx = _of_row * (_n_post - 1) + _column - _first_post - (_column > _row);
            {% endif %}
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
        }
    }
{% endblock %}
