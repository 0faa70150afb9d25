using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace Nephos.Probe.Tests.Roles;

/// <summary>Runs the test when etcd is installed; it says that it is skipped where it is not.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class EtcdFactAttribute : FactAttribute
{
    public EtcdFactAttribute()
    {
        if (RoleProcesses.FindEtcd() is null)
        {
            Skip = "etcd is not installed (Debian: etcd-server)";
        }
    }
}

/// <summary>A cloud of one process per role on a real etcd, on free ports, in a folder that goes with it.</summary>
internal sealed class RoleProcesses : IAsyncDisposable
{
    private static readonly TimeSpan ReadyPatience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly string[] Calm = ["--heartbeat-interval", "500", "--election-timeout", "5000"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-roles-");
    private readonly Dictionary<string, int> _ports;
    private readonly List<Process> _processes = [];

    private RoleProcesses(IEnumerable<string> roles) => _ports = roles.ToDictionary(role => role, _ => FreePortBase());

    public int RestPortOf(string role) => _ports[role];

    public int GrpcPortOf(string role) => _ports[role] + 1;

    public string Password(string user) => File.ReadAllText(Path.Combine(SecretsDirectory, $"{user}.password")).Trim();

    /// <summary>Whether the process of the role has said that it is ready.</summary>
    public bool IsReady(string role) => File.Exists(Path.Combine(_folder.FullName, role, "run", "ready"));

    public static string? FindEtcd() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, "etcd")).FirstOrDefault(File.Exists);

    /// <summary>Makes the places and starts etcd, none of the roles.</summary>
    public static RoleProcesses Create(params string[] roles)
    {
        var cloud = new RoleProcesses(roles);
        var (client, peer) = ($"http://127.0.0.1:{FreePort()}", $"http://127.0.0.1:{FreePort()}");
        cloud.Run(FindEtcd()!,
        [
            "--data-dir", Path.Combine(cloud._folder.FullName, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", $"default={peer}",
            "--max-txn-ops", "1024", .. Calm,
        ]);
        cloud.Etcd = client;
        return cloud;
    }

    private string Etcd { get; set; } = "";

    public Process Start(string role) => Start(role, role, []);

    /// <summary>Starts a storage process of the object store with two devices; again, when it ran before.</summary>
    public Process StartStore(int number)
    {
        var name = StoreName(number);
        _ports.TryAdd(name, FreePortBase());
        return Start("objectstore", name, ["--set", "ObjectDevices:Devices=2", "--set", $"ObjectDevices:FirstDevice={2 * number}"]);
    }

    public static string StoreName(int number) => $"store-{number}";

    /// <summary>Starts a storage process of volumes with one device; again, when it ran before.</summary>
    public Process StartBlockStore(int number)
    {
        var name = $"store-blocks-{number}";
        _ports.TryAdd(name, FreePortBase());
        return Start("storage", name,
        [
            "--set", $"BlockDevices:Directories:0={Path.Combine(_folder.FullName, name, "block")}", "--set", $"BlockDevices:SegmentBytes={4 << 20}",
            "--set", $"BlockDevices:ReserveBytes={64 << 20}",
        ]);
    }

    public string SecretsDirectory => Path.Combine(_folder.FullName, "secrets");

    /// <summary>A short name for a socket, in the folder of the cloud.</summary>
    public string SocketPath(string name) => Path.Combine(_folder.FullName, $"{name}.sock");

    private Process Start(string role, string name, string[] more)
    {
        // Of what was said by an earlier life nothing counts.
        var ready = Path.Combine(_folder.FullName, name, "run", "ready");
        if (File.Exists(ready))
        {
            File.Delete(ready);
        }

        string[] peers = [.. _ports.Where(other => other.Key != name && !other.Key.StartsWith("store-", StringComparison.Ordinal))
            .SelectMany(other => new[] { "--set", $"Nephos:Services:{other.Key}=http://127.0.0.1:{other.Value + 1}" })];
        return Run(Environment.ProcessPath!,
        [
            "exec", Path.Combine(AppContext.BaseDirectory, "nephos.dll"), "serve", "--roles", role, "--node", name,
            "--state", Path.Combine(_folder.FullName, name), "--port-base", $"{_ports[name]}",
            "--set", $"Nephos:SecretsDirectory={SecretsDirectory}",
            "--set", "State:Engine=Etcd", "--set", $"State:EtcdEndpoints:0={Etcd}", .. peers, .. more,
        ]);
    }

    public async Task WaitUntilReadyAsync(string role, Process process)
    {
        var began = Stopwatch.GetTimestamp();
        while (!IsReady(role))
        {
            Assert.False(process.HasExited, $"The process of {role} ended while starting.");
            Assert.True(Stopwatch.GetElapsedTime(began) < ReadyPatience, $"The process of {role} was not ready in time.");
            await Task.Delay(Pause);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes))
        {
            if (!process.HasExited)
            {
                process.Kill();
            }

            await process.WaitForExitAsync().WaitAsync(StopPatience);
            process.Dispose();
        }
        _folder.Delete(recursive: true);
    }

    private Process Run(string program, string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _processes.Add(process);
        return process;
    }

    /// <summary>A base whose REST, gRPC and S3 ports are free.</summary>
    private static int FreePortBase()
    {
        while (true)
        {
            var first = FreePort();
            if (first is > 1024 and < 60_000 && IsFree(first + 1) && IsFree(first + 920))
            {
                return first;
            }
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
