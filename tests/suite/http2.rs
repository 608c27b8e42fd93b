//! HTTP/2 senders: what the connection's own gate does for HTTP/1 holds for their streams too.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use relay_tests::app::{Behaviour, ok};
use relay_tests::client::PATIENCE;
use relay_tests::{App, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Interval;

/// An HTTP/2 connection whose streams take `window` bytes of an answer before they want to be read.
async fn h2(world: &World, window: u32) -> SendRequest<BoxBody<Bytes, Infallible>> {
    let stream = TcpStream::connect(world.public()).await.expect("the public listener takes connections");
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// A byte every now and then, for ever.
struct Drip(Interval);

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

fn h2_post(path: &str, body: BoxBody<Bytes, Infallible>) -> Request<BoxBody<Bytes, Infallible>> {
    Request::post(format!("http://relay.test{path}")).body(body).expect("a request")
}

#[tokio::test]
async fn an_http2_body_that_drips_is_told_so_and_let_go() {
    let mut world = World::with(|config| {
        config.limits.first_byte_ms = 300;
        config.limits.body_idle_ms = 400;
    })
    .await;
    let app = App::start(Behaviour::Say(ok("good"))).await;
    let _agent = world.agent("good", app.addr()).await;
    let mut sender = h2(&world, 65_535).await;
    let drip = Drip(tokio::time::interval(Duration::from_millis(100)));
    let asked = sender.send_request(h2_post("/h/good", drip.boxed()));
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("in time").expect("an answer");
    assert_eq!(answer.status(), 408);
    let whole = sender.send_request(h2_post("/h/good", Full::from("x").boxed())).await.expect("an answer");
    assert_eq!(whole.status(), 200, "the connection goes on");
}

#[tokio::test]
async fn an_http2_answer_that_is_never_read_is_given_up_and_one_that_pauses_is_not() {
    let mut world = World::with(|config| config.limits.body_idle_ms = 400).await;
    let app = App::start(Behaviour::Say(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n".to_vec(), vec![b'x'; 5_000_000]].concat(),
    ))
    .await;
    let _agent = world.agent("large", app.addr()).await;
    let mut sender = h2(&world, 1_000).await;
    let unread = sender.send_request(h2_post("/h/large", Full::from("x").boxed())).await.expect("a head");
    let let_go = async {
        while world.server().metrics().in_flight.get() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), let_go).await.expect("the exchange is let go");
    assert!(unread.into_body().collect().await.is_err(), "what is left of it never looks whole");

    let mut sender = h2(&world, 1_000).await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec();
    let late = (Duration::from_millis(1_500), b"data: late\n\n".to_vec());
    app.behave(Behaviour::Drip(vec![(Duration::ZERO, head), late]));
    let paused = sender.send_request(h2_post("/h/large", Full::from("x").boxed())).await.expect("a head");
    let body = paused.into_body().collect().await.expect("an app may take its time").to_bytes();
    assert_eq!(&body[..], b"data: late\n\n");
}

#[tokio::test]
async fn an_http2_connection_that_asks_nothing_is_closed_and_one_that_waits_for_its_answer_is_not() {
    let mut world = World::with(|config| {
        config.limits.first_byte_ms = 300;
        config.limits.keep_alive_ms = 600;
    })
    .await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec();
    let app = App::start(Behaviour::Drip(vec![(Duration::from_millis(1_500), head)])).await;
    let _agent = world.agent("slow", app.addr()).await;
    let mut preface = TcpStream::connect(world.public()).await.expect("taken");
    preface.write_all(b"PRI").await.expect("written");
    let mut silent = h2(&world, 65_535).await;
    let mut patient = h2(&world, 65_535).await;
    let answer = patient.send_request(h2_post("/h/slow", Full::from("x").boxed())).await.expect("a head");
    assert_eq!(&answer.into_body().collect().await.expect("whole").to_bytes()[..], b"late");
    let over = async {
        let _ = preface.read_to_end(&mut Vec::new()).await;
        while silent.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while patient.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("each is closed in its time");
}

#[tokio::test]
async fn an_http2_connection_of_nothing_but_unread_answers_is_closed() {
    let world = World::with(|config| config.limits.body_idle_ms = 400).await;
    let mut sender = h2(&world, 0).await;
    let unread = sender.send_request(h2_post("/h/nobody", Full::from("x").boxed())).await.expect("a head");
    assert_eq!(unread.status(), 404);
    let over = async {
        while sender.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("closed");
    drop(unread);
}
