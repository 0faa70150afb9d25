using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Nephos.Kernel.State;
using Nephos.Testing;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>Three members of a real etcd on the loopback, each of which can be killed and started again on its data.</summary>
public sealed class EtcdCluster : IAsyncLifetime
{
    /// <summary>A machine on which a disk stands still for seconds elects leaders, which tests that repeat nothing do not bear.</summary>
    public const string Variable = "NEPHOS_ETCD_CLUSTER";

    private const int Members = 3;
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(2) };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-etcds-");
    private readonly List<string> _clients = [];
    private readonly List<string> _peers = [];
    private readonly Process?[] _processes = new Process?[Members];
    private int _prefixes;

    /// <summary>Of every member, also of those that are away.</summary>
    public IReadOnlyList<string> Endpoints => _clients;

    /// <summary>Keys of one test.</summary>
    public string NewPrefix() => $"test-{Interlocked.Increment(ref _prefixes)}/";

    public async Task InitializeAsync()
    {
        if (NeedsProgramAttribute.Find("etcd") is null || Environment.GetEnvironmentVariable(Variable) is null)
        {
            return;
        }

        for (var member = 0; member < Members; member++)
        {
            var port = FreePorts.Take(1);
            _clients.Add($"http://127.0.0.1:{port}");
            _peers.Add($"http://127.0.0.1:{port + 1}");
        }

        for (var member = 0; member < Members; member++)
        {
            Start(member);
        }

        await WaitForAllAsync();
    }

    public async Task DisposeAsync()
    {
        for (var member = 0; member < Members; member++)
        {
            await KillAsync(member);
        }

        _folder.Delete(recursive: true);
    }

    /// <summary>The member that leads the others now.</summary>
    public async Task<int> FindLeaderAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            for (var member = 0; member < Members; member++)
            {
                if (_processes[member] is not null && await StatusAsync(member, deadline.Token) is { } status
                    && (string?)status["leader"] is { } leader && leader == (string?)status["header"]!["member_id"])
                {
                    return member;
                }
            }

            await Task.Delay(50, deadline.Token);
        }
    }

    /// <summary>Ends a member as a crash does.</summary>
    public async Task KillAsync(int member)
    {
        if (_processes[member] is { } process)
        {
            _processes[member] = null;
            // SIGKILL.
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    public async Task RestartAsync(int member)
    {
        Start(member);
        await WaitForAllAsync();
    }

    private void Start(int member)
    {
        string[] arguments =
        [
            "--name", $"m{member}", "--data-dir", Path.Combine(_folder.FullName, $"m{member}"),
            "--listen-client-urls", _clients[member], "--advertise-client-urls", _clients[member],
            "--listen-peer-urls", _peers[member], "--initial-advertise-peer-urls", _peers[member],
            "--initial-cluster", string.Join(',', _peers.Select((peer, index) => $"m{index}={peer}")), "--initial-cluster-token", _folder.Name,
            // Long enough that a disk which is slow for a moment elects nobody.
            "--max-txn-ops", $"{StateLimits.MaxOperations}", "--heartbeat-interval", "300", "--election-timeout", "3000",
        ];
        var process = Process.Start(new ProcessStartInfo(NeedsProgramAttribute.Find("etcd")!, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _processes[member] = process;
    }

    /// <summary>Every member follows a leader.</summary>
    private async Task WaitForAllAsync()
    {
        // etcd has no signal for being ready but its own pages.
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        for (var member = 0; member < Members; member++)
        {
            while ((string?)(await StatusAsync(member, deadline.Token))?["leader"] is null or "0")
            {
                Assert.False(_processes[member]!.HasExited, $"etcd member {member} ended");
                await Task.Delay(50, deadline.Token);
            }
        }
    }

    private async Task<JsonObject?> StatusAsync(int member, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await Http.PostAsJsonAsync(new Uri($"{_clients[member]}/v3/maintenance/status"), new JsonObject(), cancellationToken);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<JsonObject>(cancellationToken) : null;
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return null;
        }
    }
}
