using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.LoadTests.Running;

namespace Nephos.LoadTests;

/// <summary>The cloud under load, found by its state directory, and a token of its administrator.</summary>
internal sealed class Target : IDisposable
{
    private readonly string _password;

    private Target(JsonObject server, IReadOnlyList<int> pids, string password, (string Access, string Secret) ec2)
    {
        _password = password;
        Ec2 = ec2;
        Process = new ServerProcess(pids);
        Host = (string)server["PublicHost"]!;
        RestUrl = $"http://{Host}:{server["RestPort"]}";
        S3Url = $"http://{Host}:{server["S3Port"]}";
        GrpcUrl = $"http://{Host}:{server["GrpcPort"]}";
        Region = (string)server["Region"]!;
        Http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 512, UseProxy = false, ActivityHeadersPropagator = null })
        {
            Timeout = TimeSpan.FromMinutes(2),
        };
    }

    public ServerProcess Process { get; }

    public string Host { get; }

    public string RestUrl { get; }

    public string S3Url { get; }

    public string GrpcUrl { get; }

    public string Region { get; }

    public (string Access, string Secret) Ec2 { get; }

    public HttpClient Http { get; }

    public string Token { get; private set; } = "";

    public string ProjectId { get; private set; } = "";

    public string SwiftUrl => $"{RestUrl}/object/v1/AUTH_{ProjectId}";

    public static async Task<Target> OpenAsync(string state, CancellationToken cancellationToken)
    {
        var file = Path.Combine(state, "run", "server.json");
        if (!File.Exists(file))
        {
            throw new InvalidOperationException($"No server runs with the state directory {state}; start one with ./nephos up");
        }
        var server = JsonNode.Parse(await File.ReadAllTextAsync(file, cancellationToken))!.AsObject();
        var keys = (await File.ReadAllTextAsync(Path.Combine(state, "secrets", "admin.ec2"), cancellationToken)).Split('\n');
        var target = new Target(server, PidsOf(state, (int)server["Pid"]!), (await File.ReadAllTextAsync(Path.Combine(state, "secrets", "admin.password"), cancellationToken)).Trim(), (keys[0].Trim(), keys[1].Trim()));
        (target.Token, target.ProjectId) = await target.IssueTokenAsync(cancellationToken);
        return target;
    }

    public async Task<(string Token, string ProjectId)> IssueTokenAsync(CancellationToken cancellationToken)
    {
        using var response = await Http.PostAsJsonAsync(
            $"{RestUrl}/identity/v3/auth/tokens",
            new
            {
                auth = new
                {
                    identity = new { methods = new[] { "password" }, password = new { user = new { name = "admin", domain = new { id = "default" }, password = _password } } },
                    scope = new { project = new { name = "admin", domain = new { id = "default" } } },
                },
            },
            JsonSerializerOptions.Web,
            cancellationToken);
        response.EnsureSuccessStatusCode();
        var body = await response.Content.ReadFromJsonAsync<JsonObject>(cancellationToken);
        return (response.Headers.GetValues("X-Subject-Token").First(), (string)body!["token"]!["project"]!["id"]!);
    }

    /// <summary>The process ids that <c>up --split</c> wrote, or the one.</summary>
    private static IReadOnlyList<int> PidsOf(string state, int pid)
    {
        var roles = new DirectoryInfo(Path.Combine(state, "run", "roles"));
        var pids = roles.Exists ? roles.GetFiles("*.pid").Select(file => int.Parse(File.ReadAllText(file.FullName), CultureInfo.InvariantCulture)).ToList() : [];
        return pids.Contains(pid) ? pids : [pid];
    }

    /// <summary>A request with the token, to a path below the REST root.</summary>
    public HttpRequestMessage Request(HttpMethod method, string path, object? body = null)
    {
        var request = new HttpRequestMessage(method, path.StartsWith("http", StringComparison.Ordinal) ? path : RestUrl + path);
        request.Headers.Add("X-Auth-Token", Token);
        if (body is not null)
        {
            request.Content = JsonContent.Create(body, options: JsonSerializerOptions.Web);
        }
        return request;
    }

    public async Task<JsonObject> SendAsync(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = Request(method, path, body);
        using var response = await Http.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidOperationException($"{method} {path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }
        return response.Content.Headers.ContentLength is > 0 ? (await response.Content.ReadFromJsonAsync<JsonObject>(cancellationToken))! : [];
    }

    public void Dispose() => Http.Dispose();
}
