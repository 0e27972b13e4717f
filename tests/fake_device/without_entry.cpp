// A library that is no plug-in.
extern "C" int not_a_plugin(void);
extern "C" int not_a_plugin(void) { return 0; }
