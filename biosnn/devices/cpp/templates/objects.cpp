{# The arrays of a network, its clocks and its queues, and how they come into being. #}
{% set _dynamic = dynamic_array_specs.values() | list %}
namespace brian {
Network {{network}};
{% for clock in clocks | sort(attribute='name') %}
Clock {{clock.name}};
{% endfor %}
{% for var, name in array_specs | dictsort(by='value') if var not in dynamic_array_specs %}
{{c_data_type(var.dtype)}} *{{name}};
const int _num_{{name}} = {{var.size}};
{% endfor %}
{% for var, name in dynamic_array_specs | dictsort(by='value') %}
std::vector<{{c_data_type(var.dtype)}}> {{name}};
{% endfor %}
{% for var, name in dynamic_array_2d_specs | dictsort(by='value') %}
DynamicArray2D<{{c_data_type(var.dtype)}}> {{name}};
{% endfor %}
{% for name, dtype, n, _ in static_array_specs | sort if name not in array_specs.values() and name not in _dynamic %}
{{dtype}} *{{name}};
const int _num_{{name}} = {{n}};
{% endfor %}
{% for path in queued | sort(attribute='name') %}
SynapticPathway {{path.name}}({{dynamic_array_specs[path.synapse_sources]}}, {{path.source.start}}, {{path.source.stop}});
{% endfor %}
}

void _make_arrays()
{
    using namespace brian;
    {% for var, name in zero_arrays | sort(attribute='1') %}
    {% if name in _dynamic %}
    {{name}}.resize({{var.size}}, 0);
    {% else %}
    {{name}} = new {{c_data_type(var.dtype)}}[{{var.size}}]();
    {% endif %}
    {% endfor %}
    {% for var, name, start in arange_arrays | sort(attribute='1') %}
    {% if name in _dynamic %}
    {{name}}.resize({{var.size}});
    {% else %}
    {{name}} = new {{c_data_type(var.dtype)}}[{{var.size}}];
    {% endif %}
    for (int i = 0; i < {{var.size}}; i++) {{name}}[i] = {{start}} + i;
    {% endfor %}
    {% for name, dtype, n, _ in static_array_specs | sort %}
    {% if name in _dynamic %}
    {{name}}.resize({{n}});
    {% else %}
    {{name}} = new {{dtype}}[{{n}}];
    {% endif %}
    {% if n %}
    biosnn::load_static("{{name}}", &{{name}}[0], {{n}} * sizeof({{dtype}}));
    {% endif %}
    {% endfor %}
    {% for clock in clocks | sort(attribute='name') %}
    {{clock.name}}.timestep = {{array_specs[clock.variables['timestep']]}};
    {{clock.name}}.t = {{array_specs[clock.variables['t']]}};
    {{clock.name}}.dt = {{array_specs[clock.variables['dt']]}};
    {% endfor %}
}
