using System.Diagnostics;
using Nephos.Testing;
using Xunit;

namespace Nephos.Probe.Tests.Cloud;

/// <summary>A cloud of one process with every role, a simulated hypervisor and a simulated network, on free ports and in a folder that goes
/// with it. The process can be killed and started again over the same state.</summary>
internal sealed class CloudProcess : IAsyncDisposable
{
    private static readonly TimeSpan ReadyPatience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan ExitPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private const int LogLinesMax = 4000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-cloud-");
    private readonly int _portBase = FreePorts.Take(0, 1, 920);
    private readonly Queue<string> _log = [];
    private readonly string[] _settings;
    private Process? _process;

    private CloudProcess(string[] settings) => _settings = settings;

    public string RestUrl => $"http://127.0.0.1:{_portBase}";

    public string AdminPassword => File.ReadAllText(Path.Combine(_folder.FullName, "secrets", "admin.password")).Trim();

    /// <summary>The last lines that the processes wrote, those of killed ones too.</summary>
    public string Log
    {
        get
        {
            lock (_log)
            {
                return string.Join('\n', _log);
            }
        }
    }

    /// <param name="settings">Each as <c>Section:Name=value</c>.</param>
    public static async Task<CloudProcess> StartAsync(params string[] settings)
    {
        var cloud = new CloudProcess(settings);
        await cloud.StartAsync();
        return cloud;
    }

    /// <summary>Starts the process and waits until it says that it is ready.</summary>
    public async Task StartAsync()
    {
        var process = _process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!,
        [
            "exec", Path.Combine(AppContext.BaseDirectory, "nephos.dll"), "serve", "--state", _folder.FullName, "--port-base", $"{_portBase}",
            .. _settings.Prepend("NodeNetwork:Driver=simulated").Prepend("Hypervisor:Driver=simulated").SelectMany(pair => new[] { "--set", pair }),
        ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var began = Stopwatch.GetTimestamp();
        while (!IsReady(process.Id))
        {
            Assert.False(process.HasExited, $"The process ended while starting.\n{Log}");
            Assert.True(Stopwatch.GetElapsedTime(began) < ReadyPatience, $"The process was not ready in time.\n{Log}");
            await Task.Delay(Pause);
        }
    }

    /// <summary>Kills the process as a power cut would, but for what the kernel has of its writes.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync().WaitAsync(ExitPatience);
            process.Dispose();
            _process = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _folder.Delete(recursive: true);
    }

    private bool IsReady(int processId)
    {
        try
        {
            return File.ReadLines(Path.Combine(_folder.FullName, "run", "ready")).FirstOrDefault() == $"{processId}";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private void Keep(string? line)
    {
        if (line is null)
        {
            return;
        }
        lock (_log)
        {
            _log.Enqueue(line);
            if (_log.Count > LogLinesMax)
            {
                _log.Dequeue();
            }
        }
    }
}
