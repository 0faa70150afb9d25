using System.Text.Json;
using System.Text.Json.Nodes;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Nephos.Hosting;
using Nephos.Identity;
using Nephos.Testing;
using Xunit;

namespace Nephos.Contract.Tests.Identity;

/// <summary>The identity role in this process, listening on free ports, with nothing on disk but its secrets.</summary>
public sealed class IdentityHost : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("nephos-contract-").FullName;
    // A list of versions is no redirect to be followed.
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false });
    private WebApplication? _app;
    private int _port;

    public string Root => $"http://127.0.0.1:{_port}/identity";

    public GrpcChannel Grpc { get; private set; } = null!;

    public string AdminPassword => File.ReadAllText(Path.Combine(_directory, "secrets", "admin.password")).Trim();

    public string ServicePassword => File.ReadAllText(Path.Combine(_directory, "secrets", "service.password")).Trim();

    public async Task InitializeAsync()
    {
        _port = FreePorts.Take(1, NephosOptions.S3PortOffset);
        _app = NephosApplication.Build(
            [new Role("identity", builder => builder.AddIdentity(), app => app.MapIdentity())],
            new Dictionary<string, string?>
            {
                ["Nephos:StateDirectory"] = _directory,
                ["Nephos:PortBase"] = $"{_port}",
                ["State:Engine"] = "Memory",
                ["Logging:LogLevel:Default"] = "Error",
                ["Identity:Argon2MemoryKiB"] = "64",
                ["Identity:Argon2Iterations"] = "1",
                ["Identity:LockoutFailures"] = "2",
                ["Identity:LockoutDuration"] = "00:00:01",
            });
        await _app.StartAsync();
        Grpc = GrpcChannel.ForAddress($"http://127.0.0.1:{_port + 1}");
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        Grpc.Dispose();
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }
        Directory.Delete(_directory, recursive: true);
    }

    public async Task<Answer> CallAsync(HttpMethod method, string path, string? token = null, string? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, Root + path);
        if (token is not null)
        {
            request.Headers.Add("X-Auth-Token", token);
        }
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }
        if (body is not null)
        {
            request.Content = new StringContent(body, null, "application/json");
        }
        using var response = await _http.SendAsync(request);
        return new Answer(
            (int)response.StatusCode,
            response.Headers.Concat(response.Content.Headers).ToDictionary(pair => pair.Key, pair => string.Join(", ", pair.Value), StringComparer.OrdinalIgnoreCase),
            await response.Content.ReadAsStringAsync());
    }

    public Task<Answer> GetAsync(string path, string? token = null) => CallAsync(HttpMethod.Get, path, token);

    public Task<Answer> PostAsync(string path, string body, string? token = null) => CallAsync(HttpMethod.Post, path, token, body);

    /// <summary>A token by password, in a project of the default domain or unscoped.</summary>
    public async Task<Answer> AuthenticateAsync(string user, string password, string? project) => await PostAsync("/v3/auth/tokens", new JsonObject
    {
        ["auth"] = new JsonObject
        {
            ["identity"] = new JsonObject
            {
                ["methods"] = new JsonArray("password"),
                ["password"] = new JsonObject
                {
                    ["user"] = new JsonObject { ["name"] = user, ["domain"] = new JsonObject { ["id"] = "default" }, ["password"] = password },
                },
            },
            ["scope"] = project is null
                ? new JsonObject { ["unscoped"] = new JsonObject() }
                : new JsonObject { ["project"] = new JsonObject { ["name"] = project, ["domain"] = new JsonObject { ["name"] = "Default" } } },
        },
    }.ToJsonString());

    public async Task<string> AdminTokenAsync() => (await AuthenticateAsync("admin", AdminPassword, "admin")).Subject;

    /// <summary>A new project with a new member, and the member's token.</summary>
    public async Task<(string UserId, string UserName, string ProjectId, string ProjectName, string Token)> NewMemberAsync()
    {
        var admin = await AdminTokenAsync();
        var name = Guid.NewGuid().ToString("N");
        var project = await PostAsync("/v3/projects", $$$"""{"project":{"name":"{{{name}}}","domain_id":"default"}}""", admin);
        var user = await PostAsync("/v3/users", $$$"""{"user":{"name":"{{{name}}}","password":"secret","domain_id":"default"}}""", admin);
        var roles = await GetAsync("/v3/roles?name=member", admin);
        var (projectId, userId) = (project.Text("project", "id"), user.Text("user", "id"));
        var granted = await CallAsync(HttpMethod.Put, $"/v3/projects/{projectId}/users/{userId}/roles/{roles.Json["roles"]![0]!["id"]}", admin);
        Assert.Equal(204, granted.Status);
        return (userId, name, projectId, name, (await AuthenticateAsync(name, "secret", name)).Subject);
    }
}

/// <summary>An answer of the REST API.</summary>
public sealed record Answer(int Status, IReadOnlyDictionary<string, string> Headers, string Body)
{
    public JsonNode Json => JsonNode.Parse(Body) ?? throw new JsonException("null");

    public string Subject => Headers["X-Subject-Token"];

    public string Text(params string[] path) => path.Aggregate(Json, (node, name) => node[name]!).GetValue<string>();
}
