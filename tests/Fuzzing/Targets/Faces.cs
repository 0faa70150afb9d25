using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Nephos.Client.Objects;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.ObjectStorage;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.S3;
using Nephos.ObjectStorage.Swift;
using Nephos.Testing.Objects;
using Wire = Nephos.Protos.Identity.V1;
using S3Names = Nephos.ObjectStorage.S3.S3Target;

namespace Nephos.Fuzzing.Targets;

/// <summary>
/// Both faces of the object store without a server in front, over an engine in memory that is new for each input: a container with one object, which
/// everybody may read and write. What a face answers with 500 is a crash.
/// </summary>
internal sealed class Faces
{
    public const string Project = "p";
    public const string Token = "t";
    public const string Container = "box";
    public const string Key = "key";
    public const string UrlKey = "secret";
    private static readonly string[] Domains = ["localhost"];
    private static readonly byte[] SigningKeyBytes = [1, 2, 3];
    private static readonly ObjectStorageOptions Options = new();
    private static readonly OperationContext Member = new()
    {
        RequestId = "req-fuzz", UserId = "u", ProjectId = Project, Roles = new[] { "member" }.ToFrozenSet(), Token = Token,
    };

    private readonly Identity _identity = new();

    public static DateTimeOffset Now { get; } = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public FakeTimeProvider Time { get; } = new(Now);

    public static string Sign(string text) => Convert.ToHexStringLower(HMACSHA256.HashData(SigningKeyBytes, Encoding.UTF8.GetBytes(text)));

    public void Swift(byte[] input)
    {
        if (HttpInput.Parse(input) is not { } http || !http.Request.Path.StartsWithSegments(SwiftFace.Prefix.TrimEnd('/')))
        {
            return; // Routing gives it to somebody else.
        }
        var log = new LastFailure();
        var engine = NewEngine();
        var face = new SwiftFace(
            engine, new Authenticator(_identity), new SwiftAuth(new NoTokens(), Time), new RateLimits(Options, Time), Options, Time, log);
        Finish(face.HandleAsync(http));
        if (http.Response.StatusCode == 500)
        {
            throw new InvalidOperationException("The face answered 500.", log.Failure);
        }
        HttpInput.CheckAnswer(http);
    }

    /// <param name="isSigned">The request is that of a member of the project, whatever its signature says; else it is anybody's.</param>
    public void S3(byte[] input, bool isSigned)
    {
        if (HttpInput.Parse(input) is not { } http)
        {
            return;
        }
        try
        {
            Finish(AnswerS3Async(http, isSigned));
        }
        catch (Exception fault) when (fault is S3Fault or SwiftFault or FaultException or BadHttpRequestException or ObjectEngineException { Failure: EngineFailure.TooLarge })
        {
            if (fault is S3Fault { Status: 500 })
            {
                throw new InvalidOperationException("The face answers 500.", fault);
            }
        }
        HttpInput.CheckAnswer(http);
    }

    private async Task AnswerS3Async(HttpContext http, bool isSigned)
    {
        var engine = NewEngine();
        var target = S3Names.Parse(http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, http.Request.Host.Host, Domains);
        var claim = new SignatureClaim("a", "20260102", "r", "s3", Now, ["host"], new string('0', 64), SignatureV4.UnsignedPayload, IsPresigned: false);
        var call = new S3Call(http, target, isSigned ? new S3Signer(Member, claim, SigningKeyBytes) : null, engine, Now, "RegionOne");
        if (S3PostForm.IsForm(http.Request, target))
        {
            await S3PostForm.PostAsync(call, new S3Authenticator(_identity, new ServiceCalls(_identity, Time), _identity, Time));
            return;
        }
        await call.ResolveBucketAsync();
        if (HttpMethods.IsOptions(http.Request.Method))
        {
            await S3Cors.PreflightAsync(call);
            return;
        }
        S3Cors.Apply(call);
        var route = S3Routes.Of(call);
        if (route.Action is { } action)
        {
            await S3Access.RequireAsync(call, action);
        }
        await route.HandleAsync(call);
    }

    private static InMemoryObjectEngine NewEngine()
    {
        var engine = new InMemoryObjectEngine();
        var bucket = new BucketName(Project, Container);
        Finish(engine.Namespace.CreateBucketAsync(
            new BucketRecord
            {
                Name = bucket,
                Created = Now,
                Modified = Now,
                Metadata = RecordMetadata.Empty
                    .Add(S3Acl.Key, S3Acl.OfCanned("public-read-write").ToString())
                    .Add(SwiftAcl.ReadKey, ".r:*,.rlistings")
                    .Add("user.temp-url-key", UrlKey)
                    .Add("user.web-index", "key")
                    .Add(S3Cors.Key, "<CORSConfiguration><CORSRule><AllowedOrigin>http://*.a</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>"),
            },
            CancellationToken.None).AsTask());
        Finish(engine.Namespace.PutObjectAsync(
            new PutObject
            {
                Bucket = bucket,
                Object = new ObjectRecord
                {
                    Key = Key,
                    ETag = "0123456789abcdef0123456789abcdef",
                    ContentType = "text/plain",
                    SizeBytes = 10,
                    Modified = Now,
                    Payload = new Payload { LengthBytes = 10, Inline = "0123456789"u8.ToArray() },
                },
            },
            CancellationToken.None).AsTask());
        return engine;
    }

    private static void Finish(Task task)
    {
        if (!task.IsCompleted)
        {
            throw new InvalidOperationException("The answer waits for something; nothing here does.");
        }
        task.GetAwaiter().GetResult();
    }

    /// <summary>One user with one token, one access key, and no others.</summary>
    private sealed class Identity : Wire.Ec2Credentials.Ec2CredentialsClient, ITokenVerifier, IServiceTokenSource
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken) =>
            ValueTask.FromResult(token == Token ? Member : null);

        public ValueTask<string> GetAsync(CancellationToken cancellationToken) => ValueTask.FromResult("service");

        public override AsyncUnaryCall<Wire.GetSigningKeyResponse> GetSigningKeyAsync(Wire.GetSigningKeyRequest request, CallOptions options)
        {
            var answer = request.AccessKey == "access"
                ? Task.FromResult(new Wire.GetSigningKeyResponse
                {
                    SigningKey = ByteString.CopyFrom(SigningKeyBytes), UserId = "u", ProjectId = Project, Token = Token, ExpiresAt = Timestamp.FromDateTimeOffset(Now.AddDays(1)),
                })
                : Task.FromException<Wire.GetSigningKeyResponse>(Faults.NotFound("Access key", request.AccessKey));
            return new AsyncUnaryCall<Wire.GetSigningKeyResponse>(answer, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
        }
    }

    private sealed class NoTokens : Wire.Tokens.TokensClient;

    private sealed class LastFailure : ILogger<SwiftFace>
    {
        public Exception? Failure { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Failure = exception ?? Failure;
    }
}
