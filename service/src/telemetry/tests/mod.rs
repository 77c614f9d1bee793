mod logs;
mod traces;
