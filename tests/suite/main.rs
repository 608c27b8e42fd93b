//! The suite: the whole house on real sockets. Each file is a group of promises.

mod main_job;
