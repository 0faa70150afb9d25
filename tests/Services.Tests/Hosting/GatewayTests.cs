using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Nephos.Host.Commands;
using Nephos.Hosting;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.Hosting;

/// <summary>The front door over processes that are away, or go away in the middle of a request.</summary>
public sealed class GatewayTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-gateway-");
    private readonly int _port = FreePorts.Take(1, NephosOptions.S3PortOffset);
    private readonly int _backPort = FreePorts.Take(NephosOptions.S3PortOffset);
    private readonly int _tlsPort = FreePorts.Take();
    private readonly int _deadPort = FreePorts.Take(1);
    private readonly HttpClient _http = new();
    private readonly List<string> _seen = [];
    private WebApplication _gateway = null!;
    private WebApplication _back = null!;
    private int _toBreak;

    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.ListenLocalhost(_backPort);
            kestrel.ListenLocalhost(_backPort + NephosOptions.S3PortOffset);
        });
        _back = builder.Build();
        _back.Run(AnswerAsync);
        await _back.StartAsync();
        ClusterCommand.Init(_folder.FullName, ["front"], TimeProvider.System.GetUtcNow());
        _gateway = NephosApplication.Build(Nephos.Host.Roles.All, new Dictionary<string, string?>
        {
            ["Nephos:StateDirectory"] = _folder.FullName,
            ["Nephos:PortBase"] = $"{_port}",
            ["Nephos:Roles:0"] = "gateway",
            ["Nephos:TlsCertificateFile"] = Path.Combine(_folder.FullName, "front.pem"),
            ["Nephos:TlsKeyFile"] = Path.Combine(_folder.FullName, "front.key"),
            ["Nephos:TlsPort"] = $"{_tlsPort}",
            ["Nephos:Services:object"] = $"http://127.0.0.1:{_backPort + 1}",
            ["Nephos:Services:compute"] = $"http://127.0.0.1:{_deadPort + 1},http://127.0.0.1:{_backPort + 1}",
            ["Nephos:Services:image"] = $"http://127.0.0.1:{_backPort + 1}",
            ["Nephos:Services:volume"] = $"http://127.0.0.1:{_deadPort + 1}",
            ["State:Engine"] = "Memory",
            ["Logging:LogLevel:Default"] = "None",
        });
        await _gateway.StartAsync();
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _gateway.StopAsync();
        await _gateway.DisposeAsync();
        await _back.StopAsync();
        await _back.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_request_that_no_process_got_goes_to_the_next_whatever_it_is()
    {
        for (var i = 0; i < 4; i++)
        {
            using var answer = await _http.PostAsync($"http://127.0.0.1:{_port}/compute/v2.1/servers", new StringContent($"body {i}"));
            Assert.Equal($"POST /compute/v2.1/servers body {i}", await answer.Content.ReadAsStringAsync());
        }
        Assert.Equal(4, _seen.Count);
    }

    [Fact]
    public async Task A_get_that_broke_on_its_way_is_repeated()
    {
        _toBreak = 1;
        Assert.Equal("GET /image/v2/images ", await _http.GetStringAsync($"http://127.0.0.1:{_port}/image/v2/images"));
        Assert.Equal(2, _seen.Count);
    }

    [Fact]
    public async Task A_post_that_broke_on_its_way_is_not_repeated()
    {
        _toBreak = 1;
        using var answer = await _http.PostAsync($"http://127.0.0.1:{_port}/image/v2/images", new StringContent("x"));
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Single(_seen);
    }

    [Fact]
    public async Task A_role_of_which_no_process_answers_is_unavailable()
    {
        using var answer = await _http.GetAsync($"http://127.0.0.1:{_port}/volume/v3");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("'volume'", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_port_with_TLS_serves_REST_and_what_is_signed_for_S3()
    {
        using var trusting = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true });
        Assert.Equal("GET /image/v2/images ", await trusting.GetStringAsync($"https://127.0.0.1:{_tlsPort}/image/v2/images"));

        using var signed = new HttpRequestMessage(HttpMethod.Get, $"https://127.0.0.1:{_tlsPort}/image/key");
        signed.Headers.TryAddWithoutValidation("Authorization", "AWS4-HMAC-SHA256 Credential=any");
        using var answer = await trusting.SendAsync(signed);
        Assert.Equal("GET /image/key by S3", await answer.Content.ReadAsStringAsync());
        Assert.Equal("GET /image/key by S3", await trusting.GetStringAsync($"https://127.0.0.1:{_tlsPort}/image/key?X-Amz-Algorithm=AWS4-HMAC-SHA256"));
    }

    private async Task AnswerAsync(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        var text = $"{http.Request.Method} {http.Request.Path} {await reader.ReadToEndAsync()}{(http.Connection.LocalPort == _backPort ? "" : "by S3")}";
        lock (_seen)
        {
            _seen.Add(text);
        }
        if (Interlocked.Decrement(ref _toBreak) >= 0)
        {
            http.Abort();
            return;
        }
        await http.Response.WriteAsync(text);
    }
}
