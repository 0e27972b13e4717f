// `retort-gui`: the window.
int main() { return 2; }
