using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Probe.Tests.Cloud;

/// <param name="Status">Null: there was no answer, because the process ended.</param>
internal sealed record CloudAnswer(HttpStatusCode? Status, JsonObject Json, Uri? Location)
{
    public bool IsOk => Status is { } status && (int)status is >= 200 and < 300;

    public override string ToString() => $"{(Status is { } status ? (int)status : "no answer")} {Json.ToJsonString()}";
}

/// <summary>The REST API of a cloud as its administrator sees it.</summary>
internal sealed class CloudClient(CloudProcess cloud) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 128, UseProxy = false }) { Timeout = TimeSpan.FromMinutes(2) };

    public string ProjectId { get; private set; } = "";

    public async Task LogInAsync()
    {
        using var response = await _http.PostAsJsonAsync(
            $"{cloud.RestUrl}/identity/v3/auth/tokens",
            new
            {
                auth = new
                {
                    identity = new { methods = new[] { "password" }, password = new { user = new { name = "admin", domain = new { id = "default" }, password = cloud.AdminPassword } } },
                    scope = new { project = new { name = "admin", domain = new { id = "default" } } },
                },
            });
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        ProjectId = (string)(await response.Content.ReadFromJsonAsync<JsonObject>())!["token"]!["project"]!["id"]!;
        _http.DefaultRequestHeaders.Remove("X-Auth-Token");
        _http.DefaultRequestHeaders.Add("X-Auth-Token", response.Headers.GetValues("X-Subject-Token").First());
    }

    /// <summary>One request; a connection that breaks is an answer too.</summary>
    public async Task<CloudAnswer> SendAsync(HttpMethod method, string path, object? body = null, string? microversion = null)
    {
        using var request = new HttpRequestMessage(method, cloud.RestUrl + path);
        request.Content = body switch
        {
            null => null,
            byte[] bytes => new ByteArrayContent(bytes) { Headers = { { "Content-Type", "application/octet-stream" } } },
            _ => JsonContent.Create(body),
        };
        if (microversion is not null)
        {
            request.Headers.Add("OpenStack-API-Version", microversion);
        }
        try
        {
            using var response = await _http.SendAsync(request);
            var text = await response.Content.ReadAsStringAsync();
            var json = response.Content.Headers.ContentType?.MediaType == "application/json" && text.Length > 0 ? JsonNode.Parse(text) as JsonObject : null;
            return new CloudAnswer(response.StatusCode, json ?? [], response.Headers.Location);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException)
        {
            return new CloudAnswer(null, [], null);
        }
    }

    public Task<CloudAnswer> GetAsync(string path, string? microversion = null) => SendAsync(HttpMethod.Get, path, null, microversion);

    public Task<CloudAnswer> PostAsync(string path, object body, string? microversion = null) => SendAsync(HttpMethod.Post, path, body, microversion);

    /// <summary>A request that has to succeed.</summary>
    public async Task<JsonObject> MustAsync(HttpMethod method, string path, object? body = null, string? microversion = null)
    {
        var answer = await SendAsync(method, path, body, microversion);
        Assert.True(answer.IsOk, $"{method} {path}: {answer}");
        return answer.Json;
    }

    public async Task<JsonArray> ListAsync(string path, string name) => (await MustAsync(HttpMethod.Get, path))[name]!.AsArray();

    public void Dispose() => _http.Dispose();
}
