//! A collector of traces: the real OTLP service over gRPC, which keeps what it is sent.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// The longest that spans may take to arrive; they are sent every second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A span as the tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The service that sent it: `service.name` of its resource.
    pub(crate) service: String,
    pub(crate) name: String,
    /// In hexadecimal digits, as in a `traceparent`.
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first span of a trace.
    pub(crate) parent: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Told {
    /// An attribute; empty when it has none of this name.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// See the module. Serves until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<Told>>>,
    raw: Arc<Mutex<String>>,
    news: watch::Sender<usize>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::serve(Server::builder(), "http://127.0.0.1").await
    }

    /// The same over TLS, as `localhost`.
    pub(crate) async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Self::serve(Server::builder().tls_config(tls).unwrap(), "https://localhost").await
    }

    async fn serve(mut server: Server, origin: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{origin}:{}", listener.local_addr().unwrap().port());
        let collector =
            Self { endpoint, spans: Arc::default(), raw: Arc::default(), news: watch::Sender::new(0) };
        let service = TraceServiceServer::new(collector.clone());
        tokio::spawn(server.add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
        collector
    }

    /// What `telemetry.otlp_endpoint` is set to.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Told> {
        self.spans.lock().unwrap().clone()
    }

    /// Everything that was received, in one text.
    pub(crate) fn text(&self) -> String {
        self.raw.lock().unwrap().clone()
    }

    /// The spans of one trace, as soon as those with all of these names are there.
    pub(crate) async fn trace(&self, trace: &str, names: &[&str]) -> Vec<Told> {
        let mut news = self.news.subscribe();
        let found = || {
            let mut spans = self.spans();
            spans.retain(|span| span.trace == trace);
            spans
        };
        let all = async {
            loop {
                news.borrow_and_update();
                let spans = found();
                if names.iter().all(|name| spans.iter().any(|span| span.name == *name)) {
                    return spans;
                }
                news.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .unwrap_or_else(|_| panic!("{names:?} did not all come in {trace}: {:?}", self.spans()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let message = request.into_inner();
        writeln!(self.raw.lock().unwrap(), "{message:?}").unwrap();
        for resource in message.resource_spans {
            let service =
                resource.resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
            let service = service.into_iter().find(|(name, _)| name == "service.name").unwrap_or_default().1;
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.spans.lock().unwrap().push(told(&service, span));
            }
        }
        self.news.send_modify(|times| *times += 1);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn told(service: &str, span: Span) -> Told {
    Told {
        service: service.to_owned(),
        name: span.name,
        trace: hex::encode(span.trace_id),
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        attributes: attributes(&span.attributes),
    }
}

fn attributes(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let value = |value: &opentelemetry_proto::tonic::common::v1::AnyValue| value.value.as_ref().map(text);
    attributes
        .iter()
        .map(|it| (it.key.clone(), it.value.as_ref().and_then(value).unwrap_or_default()))
        .collect()
}
