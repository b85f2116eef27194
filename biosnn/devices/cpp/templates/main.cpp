int main(int argc, char **argv)
{
    biosnn::configure(argc, argv);
    _make_arrays();
    {
        using namespace brian;
        {{main_lines|autoindent}}
    }
    return biosnn::finish();
}
