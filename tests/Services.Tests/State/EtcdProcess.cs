using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Nephos.Kernel.State;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>A real etcd on free ports of the loopback, with its data in a folder that goes with it.</summary>
public sealed class EtcdProcess : IAsyncLifetime
{
    private static readonly HttpClient Http = new();

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-etcd-");
    private readonly string _metrics = $"http://127.0.0.1:{FreePort()}";
    private readonly IReadOnlyList<string> _tls;
    private Process? _process;
    private int _prefixes;

    public EtcdProcess()
    {
        Endpoint = $"http://127.0.0.1:{FreePort()}";
        _tls = [];
    }

    internal EtcdProcess(EtcdCertificates certificates)
    {
        Endpoint = $"https://127.0.0.1:{FreePort()}";
        _tls =
        [
            "--cert-file", certificates.ServerFile, "--key-file", certificates.ServerKeyFile,
            "--trusted-ca-file", certificates.CaFile, "--client-cert-auth",
        ];
    }

    public string Endpoint { get; }

    /// <summary>Keys of one test.</summary>
    public string NewPrefix() => $"test-{Interlocked.Increment(ref _prefixes)}/";

    public async Task InitializeAsync()
    {
        if (NeedsProgramAttribute.Find("etcd") is not { } program)
        {
            return;
        }

        await StartAsync(program, StateLimits.MaxOperations);
    }

    public async Task DisposeAsync()
    {
        await StopAsync();
        _folder.Delete(recursive: true);
    }

    /// <summary>Ends etcd and starts it again on its data.</summary>
    public async Task RestartAsync(int maxOperations)
    {
        await StopAsync();
        await StartAsync(NeedsProgramAttribute.Find("etcd")!, maxOperations);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task StartAsync(string program, int maxOperations)
    {
        var peer = $"http://127.0.0.1:{FreePort()}";
        string[] arguments =
        [
            "--data-dir", _folder.FullName,
            "--listen-client-urls", Endpoint, "--advertise-client-urls", Endpoint,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", $"default={peer}",
            "--max-txn-ops", $"{maxOperations}",
            // Short elections allow leases of one second.
            "--heartbeat-interval", "50", "--election-timeout", "250",
            "--listen-metrics-urls", _metrics,
            .. _tls,
        ];
        _process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        _process.OutputDataReceived += (_, _) => { };
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await HealthyAsync();
    }

    private async Task HealthyAsync()
    {
        // etcd has no signal for being ready but its own health page.
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            try
            {
                if ((await Http.GetStringAsync(new Uri($"{_metrics}/health"), deadline.Token)).Contains("true", StringComparison.Ordinal))
                {
                    return;
                }
            }
            catch (HttpRequestException) when (!_process!.HasExited)
            {
            }

            await Task.Delay(50, deadline.Token);
        }
    }

    private async Task StopAsync()
    {
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
            _process = null;
        }
    }
}
