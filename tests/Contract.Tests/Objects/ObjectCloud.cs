using System.Collections.Frozen;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Client.Objects;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.ObjectStorage;
using Xunit;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Contract.Tests.Objects;

[CollectionDefinition(Name)]
public sealed class ObjectCollection : ICollectionFixture<ObjectCloud>
{
    public const string Name = "objects";
}

/// <summary>
/// The object service over its real engine in four small directories, behind a real HTTP server on a free port. Identity pretends:
/// a token is <c>user:project:role,role</c>, an access key the same with dots, and its secret is derived from it.
/// </summary>
public class ObjectCloud : IAsyncLifetime
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"nephos-objects-{Guid.NewGuid():N}");
    private ObjectEngine _engine = null!;
    private WebApplication _app = null!;
    private GrpcChannel _grpc = null!;

    /// <summary>The clock of the faces; the engine underneath has the real one.</summary>
    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 5, 6, 7, 8, 9, TimeSpan.Zero));

    /// <summary>What the faces take the time from.</summary>
    protected virtual TimeProvider FaceTime => Time;

    public HttpClient Http { get; private set; } = null!;

    public CallInvoker Grpc => _grpc.CreateCallInvoker();

    public IObjectEngine Engine => _engine;

    /// <summary>Configuration on top of the defaults, as <c>Section:Name</c>.</summary>
    protected virtual IEnumerable<KeyValuePair<string, string?>> Settings => [];

    /// <summary>Where the devices are; made here, removed with the cloud.</summary>
    protected virtual string Folder => _folder;

    /// <summary>A part of the object service.</summary>
    public T Service<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    public IPEndPoint Address { get; private set; } = null!;

    public static string SecretOf(string accessKey) => "secret of " + accessKey;

    public virtual async Task InitializeAsync()
    {
        Directory.CreateDirectory(Folder);
        var options = ObjectEngineOptions.Under(Folder) with
        {
            PartitionPower = 6,
            Shards = 2,
            Device = new ObjectDeviceOptions
            {
                Volumes = new VolumeStoreOptions { VolumeBytes = 16 << 20 },
                Journal = new JournalOptions { SegmentBytes = 9 << 20 },
                HeadroomBytes = 64 << 20,
            },
        };
        _engine = await ObjectEngine.OpenAsync(
            options, new FileConfigurationMaster(options.ConfigurationDirectory), TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);

        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(Settings);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.UTF8;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MaxRequestHeadersTotalSize = 128 * 1024;
            kestrel.Limits.MaxRequestHeaderCount = 300;
            kestrel.Limits.MaxRequestLineSize = 32 * 1024;
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        builder.Services.AddSingleton<IObjectEngine>(_engine);
        builder.Services.AddSingleton(new NephosOptions { StateDirectory = Folder });
        builder.Services.AddSingleton(FaceTime);
        builder.Services.AddRouting();
        builder.Services.AddGrpc(grpc => grpc.Interceptors.Add<OperationInterceptor>());
        builder.Services.AddSingleton<OperationInterceptor>();
        builder.Services.AddSingleton<ServiceChannels>();
        builder.Services.AddSingleton<ServiceCalls>();
        builder.Services.AddSingleton<ITokenVerifier, Tokens>();
        builder.Services.AddSingleton<IServiceTokenSource, Tokens>();
        builder.Services.AddSingleton<Authenticator>();
        builder.AddObjectStorage();
        builder.Services.AddSingleton<Wire.Ec2Credentials.Ec2CredentialsClient>(new Keys(FaceTime));
        builder.Services.AddSingleton<Wire.Tokens.TokensClient>(new Passwords(FaceTime));
        _app = builder.Build();
        _app.UseRouting();
        _app.MapObjectStorage();
        await _app.StartAsync();
        var addresses = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToList();
        var address = addresses[0];
        _grpc = GrpcChannel.ForAddress(addresses[1]);
        Address = IPEndPoint.Parse(new Uri(address).Authority);
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false, UseCookies = false, RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8, ResponseHeaderEncodingSelector = (_, _) => Encoding.UTF8 }) { BaseAddress = new Uri(address) };
    }

    public virtual async Task DisposeAsync()
    {
        Http.Dispose();
        _grpc.Dispose();
        await _app.DisposeAsync();
        await _engine.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    private static OperationContext? Parse(string text, char separator)
    {
        var parts = text.Split(separator);
        return parts.Length != 3 ? null : new OperationContext
        {
            RequestId = "req-test", UserId = parts[0], ProjectId = parts[1], Roles = parts[2].Split(',').ToFrozenSet(), Token = text,
        };
    }

    private sealed class Tokens : ITokenVerifier, IServiceTokenSource
    {
        public ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken) =>
            ValueTask.FromResult(Parse(token, ':'));

        public ValueTask<string> GetAsync(CancellationToken cancellationToken) => ValueTask.FromResult("nephos:service:service");
    }

    /// <summary>Everybody's password is <c>secret</c>; the names of projects are their ids.</summary>
    private sealed class Passwords(TimeProvider time) : Wire.Tokens.TokensClient
    {
        public override AsyncUnaryCall<Wire.IssueTokenResponse> IssueTokenAsync(
            Wire.IssueTokenRequest request, Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default)
        {
            var project = request.Scope?.Project?.Name ?? "";
            var answer = request.Password.Password == "secret"
                ? Task.FromResult(new Wire.IssueTokenResponse
                {
                    Token = $"{request.Password.User.Name}:{project}:member",
                    Description = new Wire.TokenDescription
                    {
                        Project = project.Length > 0 ? new Wire.NamedReference { Id = project, Name = project } : null,
                        ExpiresAt = Timestamp.FromDateTimeOffset(time.GetUtcNow().AddHours(1)),
                    },
                })
                : Task.FromException<Wire.IssueTokenResponse>(Faults.Unauthenticated("The request you have made requires authentication."));
            return new AsyncUnaryCall<Wire.IssueTokenResponse>(answer, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
        }
    }

    private sealed class Keys(TimeProvider time) : Wire.Ec2Credentials.Ec2CredentialsClient
    {
        public override AsyncUnaryCall<Wire.GetSigningKeyResponse> GetSigningKeyAsync(Wire.GetSigningKeyRequest request, CallOptions options)
        {
            var answer = Parse(request.AccessKey, '.') is { } who
                ? Task.FromResult(new Wire.GetSigningKeyResponse
                {
                    SigningKey = ByteString.CopyFrom(AwsSignature.SigningKey(SecretOf(request.AccessKey), request.Date, request.Region, request.Service)),
                    UserId = who.UserId,
                    ProjectId = who.ProjectId,
                    ExpiresAt = Timestamp.FromDateTimeOffset(time.GetUtcNow().AddMinutes(5)),
                    Token = request.AccessKey.Replace('.', ':'),
                })
                : Task.FromException<Wire.GetSigningKeyResponse>(Faults.NotFound("Access key", request.AccessKey));
            return new AsyncUnaryCall<Wire.GetSigningKeyResponse>(answer, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
        }
    }
}

/// <summary>The client's side of Signature Version 4, written from its description alone.</summary>
internal static class AwsSignature
{
    public const string Unsigned = "UNSIGNED-PAYLOAD";

    public static byte[] SigningKey(string secret, string date, string region, string service)
    {
        var key = Encoding.UTF8.GetBytes("AWS4" + secret);
        foreach (var step in new[] { date, region, service, "aws4_request" })
        {
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(step));
        }
        return key;
    }

    public static string Hex(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    public static string Hmac(byte[] key, string text) => Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));

    /// <param name="headers">All that are signed, names in lower case.</param>
    public static string Sign(
        byte[] key, string scope, string time, string method, string path, string query, IReadOnlyDictionary<string, string> headers, string payloadHash)
    {
        var sorted = headers.OrderBy(header => header.Key, StringComparer.Ordinal).ToList();
        var sortedQuery = string.Join('&', query.Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(item => item.Contains('=', StringComparison.Ordinal) ? item : item + "=")
            .OrderBy(item => item[..item.IndexOf('=', StringComparison.Ordinal)], StringComparer.Ordinal)
            .ThenBy(item => item, StringComparer.Ordinal));
        var canonical = $"{method}\n{path}\n{sortedQuery}\n{string.Concat(sorted.Select(header => $"{header.Key}:{header.Value.Trim()}\n"))}\n" +
            $"{string.Join(';', sorted.Select(header => header.Key))}\n{payloadHash}";
        return Hmac(key, $"AWS4-HMAC-SHA256\n{time}\n{scope}\n{Hex(canonical)}");
    }
}
