namespace Nephos.Hypervisor.Agent;

/// <summary>How the command line asks a running agent to take its node down: a file that the agent renames when it has seen it, and removes
/// when every instance has ended.</summary>
internal static class HaltRequest
{
    private static readonly TimeSpan PollPeriod = TimeSpan.FromMilliseconds(50);

    /// <summary>An agent that has not taken the request by then does not run.</summary>
    private static readonly TimeSpan TakenWithin = TimeSpan.FromSeconds(2);

    /// <summary>Asks and waits for the end.</summary>
    /// <returns>False when no agent took the request, or it was not done in time.</returns>
    public static async Task<bool> AskAsync(string stateDirectory, TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        File.WriteAllBytes(Asked(stateDirectory), []);
        try
        {
            while (File.Exists(Asked(stateDirectory)))
            {
                if (time.GetElapsedTime(began) > TakenWithin)
                {
                    return false;
                }
                await Task.Delay(PollPeriod, time, cancellationToken);
            }
            while (File.Exists(Taken(stateDirectory)))
            {
                if (time.GetElapsedTime(began) > patience)
                {
                    return false;
                }
                await Task.Delay(PollPeriod, time, cancellationToken);
            }
            return true;
        }
        finally
        {
            File.Delete(Asked(stateDirectory));
        }
    }

    public static bool TryTake(string stateDirectory)
    {
        if (!File.Exists(Asked(stateDirectory)))
        {
            return false;
        }
        File.Move(Asked(stateDirectory), Taken(stateDirectory), overwrite: true);
        return true;
    }

    public static void Finish(string stateDirectory) => File.Delete(Taken(stateDirectory));

    /// <summary>A request to the agent of before is not one to this.</summary>
    public static void Clear(string stateDirectory)
    {
        Directory.CreateDirectory(stateDirectory);
        File.Delete(Asked(stateDirectory));
        File.Delete(Taken(stateDirectory));
    }

    private static string Asked(string stateDirectory) => Path.Combine(stateDirectory, "halt");

    private static string Taken(string stateDirectory) => Path.Combine(stateDirectory, "halting");
}
