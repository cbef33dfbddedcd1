// What keeps a program that has touched its connection from being parked there.
#pragma once

#include "parked.h"
#include "tracer.h"

// null: it can be parked.
const char *find_obstacle(const struct Order *order);

// Of a template: what each clone has to open for itself; null: all of it can be shared or opened.
const char *list_files(const struct Order *order, struct Parked *parked);

// Which of 0, 1 and 2 still are the connection, and which of these are to be closed at an exec.
void find_places(const struct Order *order, struct Parked *parked);

// How many threads the program has; 0: it cannot be told.
int count_threads(pid_t pid);
