//! Through a SOCKS5 server that notes what it is asked.

use std::collections::HashSet;

use tokio::net::TcpListener;

use super::fake::{FakeProxy, Manner};
use super::*;

fn proxy(server: &FakeProxy) -> Proxy {
    Proxy::new(server.address, None)
}

#[tokio::test]
async fn each_connection_has_a_login_of_its_own() {
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = far.local_addr().unwrap();
    let server = FakeProxy::start(Manner::Serves(Some(address))).await;
    let proxy = proxy(&server);
    for _ in 0..5 {
        proxy.connect(address, None).await.unwrap();
    }
    let asked = server.asked();
    let logins: HashSet<_> = asked.iter().map(|it| it.login.clone().unwrap()).collect();
    assert_eq!((asked.len(), logins.len()), (5, 5), "streams share a circuit: {asked:?}");
    assert!(asked.iter().all(|it| it.target == address.to_string()));

    let key = OnionKey([7; 32]);
    proxy.connect(key.address(9333), Some(key)).await.unwrap();
    assert_eq!(server.asked()[5].target, format!("{key}:9333"), "the proxy looks the name up");

    let login = Some(("pool".to_owned(), "secret".to_owned()));
    let named = Proxy::new(server.address, login.clone());
    named.connect(address, None).await.unwrap();
    assert_eq!(server.asked()[6].login, login);
    assert!(!format!("{named:?}").contains("secret"), "no password is printed");
}

#[tokio::test]
async fn a_proxy_that_asks_for_no_login_will_do() {
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = FakeProxy::start(Manner::Open).await;
    let address = far.local_addr().unwrap();
    proxy(&server).connect(address, None).await.unwrap();
    assert_eq!(server.asked()[0].login, None);
}

#[tokio::test]
async fn who_is_to_blame_is_told_apart() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = "192.0.2.1:1".parse().unwrap();
    let of = |manner| async move {
        let server = FakeProxy::start(manner).await;
        proxy(&server).connect(target, None).await.unwrap_err()
    };
    assert!(matches!(of(Manner::Refuses(5)).await, ProxyError::Refused));
    for code in [1, 2, 3, 4, 6, 8, 0xf0] {
        let error = of(Manner::Refuses(code)).await;
        assert!(matches!(error, ProxyError::Unreachable(_)), "{code}: {error}");
    }
    for manner in [Manner::SaysHttp, Manner::WrongPassword, Manner::Refuses(7)] {
        let error = of(manner).await;
        assert!(matches!(error, ProxyError::Proxy(_)), "{manner:?}: {error}");
    }
    let nobody = Proxy::new(gone, None);
    let error = nobody.connect(target, None).await.unwrap_err();
    assert!(matches!(error, ProxyError::Proxy(_)), "{error}");
}
