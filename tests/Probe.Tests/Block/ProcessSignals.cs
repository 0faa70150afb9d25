using System.Runtime.InteropServices;
using Xunit;

namespace Nephos.Probe.Tests.Block;

/// <summary>Freezing processes.</summary>
internal static class ProcessSignals
{
    private const int Stop = 19, Continue = 18;

    /// <summary>Returns when every thread has stopped: the signal returns before, and one that goes on would take requests in.</summary>
    public static async Task FreezeAsync(int process)
    {
        Assert.Equal(0, Kill(process, Stop));
        while (!Directory.GetDirectories($"/proc/{process}/task").All(IsStopped)) await Task.Delay(10);
    }

    public static void Thaw(int process) => Assert.Equal(0, Kill(process, Continue));

    private static bool IsStopped(string thread)
    {
        try
        {
            return File.ReadAllText(Path.Combine(thread, "stat")).Split(") ")[^1][0] == 'T';
        }
        catch (IOException)
        {
            // It has just ended.
            return false;
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int process, int signal);
}
