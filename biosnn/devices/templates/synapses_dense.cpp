{# A pathway of a full projection without delay: a loop over a row or a column of the weight
   matrix instead of Brian2's queue of synapse indices. Same synapses, same order. #}
{# USES_VARIABLES { _synaptic_pre, _synaptic_post } #}
{% extends 'common_synapses.cpp' %}

{% block maincode %}
    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {% set _events = get_array_name(pathway.source.variables[pathway.eventspace_name], access_data=False) %}
    const int32_t _n_pre = {{ pathway.synapses.source.N }};
    const int32_t _n_post = {{ pathway.synapses.target.N }};
    const int32_t _n_events = {{_events}}[{{ pathway.source.N }}];
    for (int32_t _event = 0; _event < _n_events; _event++)
    {
        {% if pathway.prepost == 'pre' %}
        const int32_t _row = {{_events}}[_event];
        for (int32_t _column = 0; _column < _n_post; _column++)
        {% else %}
        const int32_t _column = {{_events}}[_event];
        for (int32_t _row = 0; _row < _n_pre; _row++)
        {% endif %}
        {
            const size_t _idx = (size_t)_row * _n_post + _column;
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
        }
    }
{% endblock %}
