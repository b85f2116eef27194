{# A pathway whose synapses a formula numbers, without delay: no list of synapses, no queue, no
   atomic operations. Events are taken in the order of their neurons, so that sums are always the same.
   One thread does what belongs to
   - a neuron on the other side ("target"), event after event, or
   - an event ("source"), neuron after neuron of the other side, or
   - all of a replica ("both"): slow, but right whatever the statements change. #}
{# USES_VARIABLES { N, _synaptic_pre, _synaptic_post } #}
{% extends 'common_synapses.cu' %}
{% set _pre = pathway.prepost == 'pre' %}
{% set _replicas = pathway.synapses.replicas %}
{% set _n_pre = pathway.synapses.source.N // _replicas %}
{% set _n_post = pathway.synapses.target.N // _replicas %}
{% set _pattern = pathway.synapses.pattern %}
{% set _source, _other = (_n_pre, _n_post) if _pre else (_n_post, _n_pre) %}

{% block kernel %}
{% macro synapse(event, other) %}
    {
        const int _row = {{event if _pre else other}}, _column = {{other if _pre else event}};
        const int _from = _replica * {{_n_pre}} + _row, _to = _replica * {{_n_post}} + _column;
        const int64_t _of_row = {{ '_row' if pathway.synapses.shared else '_from' }};
        {% if _pattern == 'all' %}
        const int64_t _idx = _of_row * {{_n_post}} + _column;
        {% elif _pattern == 'one_to_one' %}
        const int64_t _idx = _of_row;
        {% else %}
        if (_column == _row) continue;
        const int64_t _idx = _of_row * {{_n_post - 1}} + _column - (_column > _row);
        {% endif %}
        const int _vectorisation_idx = (int)_idx;
        ///// vector_code /////
        {{vector_code|autoindent}}
    }
{% endmacro %}
__global__ void
_run_kernel_{{codeobj_name}}(
    const unsigned char *_fired,
    ///// KERNEL_PARAMETERS /////
    %KERNEL_PARAMETERS%
    )
{
    using namespace brian;
    ///// KERNEL_CONSTANTS /////
    %KERNEL_CONSTANTS%
    const int _idx = -1, _vectorisation_idx = -1;
    ///// kernel_lines /////
    {{kernel_lines|autoindent}}
    ///// scalar_code /////
    {{scalar_code|autoindent}}
    const int _replica = blockIdx.y;
    const int _mine = blockIdx.x * blockDim.x + threadIdx.x;
    _fired += (int64_t)_replica * {{_source}};
    {% if _pattern == 'one_to_one' %}
    if (_mine < {{_n_pre}} && _fired[_mine])
    {{synapse('_mine', '_mine')}}
    {% elif changes == 'target' %}
    __shared__ unsigned int _bits[{{words}}];
    for (int _begin = 0; _begin < {{_source}}; _begin += 32 * {{words}})
    {
        const int _end = min({{_source}}, _begin + 32 * {{words}});
        const int _words = (_end - _begin + 31) / 32;
        for (int _word = threadIdx.x; _word < _words; _word += blockDim.x)
        {
            unsigned int _found = 0;
            const int _first = _begin + 32 * _word;
            for (int _bit = 0; _bit < 32 && _first + _bit < _end; _bit++)
                _found |= (unsigned int)_fired[_first + _bit] << _bit;
            _bits[_word] = _found;
        }
        __syncthreads();
        if (_mine < {{_other}})
            for (int _word = 0; _word < _words; _word++)
                for (unsigned int _left = _bits[_word]; _left; _left &= _left - 1)
                {
                    const int _event = _begin + 32 * _word + __ffs((int)_left) - 1;
                    {{synapse('_event', '_mine')}}
                }
        __syncthreads();
    }
    {% elif changes == 'source' %}
    if (_mine < {{_source}} && _fired[_mine])
        for (int _partner = 0; _partner < {{_other}}; _partner++)
        {
            {{synapse('_mine', '_partner')}}
        }
    {% else %}
    if (_mine == 0)
        for (int _event = 0; _event < {{_source}}; _event++)
            for (int _partner = 0; _fired[_event] && _partner < {{_other}}; _partner++)
            {
                {{synapse('_event', '_partner')}}
            }
    {% endif %}
}
{% endblock kernel %}

{% block prepare_kernel %}{% endblock %}

{% block kernel_call %}
{% set _events = get_array_name(pathway.source.variables[pathway.eventspace_name], access_data=False) %}
{% set _side = _source if _pattern == 'one_to_one' else {'target': _other, 'source': _source}.get(changes, 1) %}
_run_kernel_{{codeobj_name}}<<<dim3({{(_side + threads - 1) // threads}}, {{_replicas}}), {{threads}}>>>(
    biosnn::fired{{_events}},
    ///// HOST_PARAMETERS /////
    %HOST_PARAMETERS%
    );
CUDA_CHECK_ERROR("_run_kernel_{{codeobj_name}}");
{% endblock kernel_call %}
