//! The server as a program: spoken to by its protocol, by curl, with and without a key, over TLS.

mod support;

mod access;
mod care;
mod groups;
mod http;
mod old;
mod openapi;
mod protocol;
mod tls;
mod traces;
