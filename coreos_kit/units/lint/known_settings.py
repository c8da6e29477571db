"""The names of systemd's settings by section, which kind of value each takes, and which words. No checks.

All that systemd has taken from 208 (2013, the year fleet began) up to 260: the tables of each of these
versions (src/core/load-fragment-gperf) put together. So what later ones no longer heed is known too. What one
version takes, `systemd --dump-configuration-items` shows.
"""

from collections.abc import Mapping

# Names after a kind are of that kind. It is given only where all versions read the value in the same way:
# PrivateTmp=, once a boolean and now more, has none. What several types of unit take is in systemd.exec(5),
# systemd.kill(5) and systemd.resource-control(5), in this order; then comes what each has of its own.
_TABLE = """
[Unit]
After AssertACPower AssertArchitecture AssertCPUFeature AssertCPUPressure AssertCPUs AssertCapability
AssertControlGroupController AssertCredential AssertDirectoryNotEmpty AssertEnvironment
AssertFileIsExecutable AssertFileNotEmpty AssertFirstBoot AssertGroup AssertHost AssertIOPressure
AssertKernelCommandLine AssertKernelModuleLoaded AssertKernelVersion AssertMemory AssertMemoryPressure
AssertNeedsUpdate AssertNull AssertOSRelease AssertPathExists AssertPathExistsGlob AssertPathIsDirectory
AssertPathIsEncrypted AssertPathIsMountPoint AssertPathIsReadWrite AssertPathIsSocket
AssertPathIsSymbolicLink AssertSecurity AssertUser AssertVersion AssertVirtualization Before BindTo BindsTo
ConditionACPower ConditionArchitecture ConditionCPUFeature ConditionCPUPressure ConditionCPUs
ConditionCapability ConditionControlGroupController ConditionCredential ConditionDirectoryNotEmpty
ConditionEnvironment ConditionFileIsExecutable ConditionFileNotEmpty ConditionFirmware ConditionFirstBoot
ConditionGroup ConditionHost ConditionIOPressure ConditionKernelCommandLine ConditionKernelModuleLoaded
ConditionKernelVersion ConditionMemory ConditionMemoryPressure ConditionNeedsUpdate ConditionNull
ConditionOSRelease ConditionPathExists ConditionPathExistsGlob ConditionPathIsDirectory
ConditionPathIsEncrypted ConditionPathIsMountPoint ConditionPathIsReadWrite ConditionPathIsSocket
ConditionPathIsSymbolicLink ConditionSecurity ConditionUser ConditionVersion ConditionVirtualization
Conflicts Description Documentation FailureActionExitStatus IgnoreOnSnapshot JobTimeoutRebootArgument
JoinsNamespaceOf OnFailure OnSuccess PartOf PropagateReloadFrom PropagateReloadTo PropagatesReloadTo
PropagatesStopTo RebootArgument ReloadPropagatedFrom Requires RequiresMountsFor RequiresOverridable
Requisite RequisiteOverridable SourcePath StopPropagatedFrom SuccessActionExitStatus Upholds Wants
WantsMountsFor
word: CollectMode FailureAction JobTimeoutAction OnFailureJobMode OnSuccessJobMode StartLimitAction
SuccessAction
boolean: AllowIsolate DefaultDependencies IgnoreOnIsolate OnFailureIsolate RefuseManualStart
RefuseManualStop StopWhenUnneeded SurviveFinalKillSignal
time: JobRunningTimeoutSec JobTimeoutSec StartLimitInterval StartLimitIntervalSec
number: StartLimitBurst

[Install]
Alias Also DefaultInstance RequiredBy UpheldBy WantedBy

[Service Socket Mount Swap]
AmbientCapabilities AppArmorProfile BPFDelegateAttachments BPFDelegateCommands BPFDelegateMaps
BPFDelegatePrograms BindPaths BindReadOnlyPaths CPUAffinity CPUSchedulingPolicy CPUSchedulingPriority
CacheDirectory CacheDirectoryMode CacheDirectoryQuota Capabilities CapabilityBoundingSet
ConfigurationDirectory ConfigurationDirectoryMode CoredumpFilter DelegateNamespaces Environment
EnvironmentFile ExecPaths ExecSearchPath ExtensionDirectories ExtensionImagePolicy ExtensionImages Group
IOSchedulingClass IOSchedulingPriority IPCNamespacePath ImportCredential InaccessibleDirectories
InaccessiblePaths KeyringMode LimitAS LimitCORE LimitCPU LimitDATA LimitFSIZE LimitLOCKS LimitMEMLOCK
LimitMSGQUEUE LimitNICE LimitNOFILE LimitNPROC LimitRSS LimitRTPRIO LimitRTTIME LimitSIGPENDING LimitSTACK
LoadCredential LoadCredentialEncrypted LogExtraFields LogFilterPatterns LogLevelMax LogNamespace
LogsDirectory LogsDirectoryMode LogsDirectoryQuota MemoryTHP MountFlags MountImagePolicy MountImages
NUMAMask NUMAPolicy NetworkNamespacePath Nice NoExecPaths OOMScoreAdjust PAMName PassEnvironment Personality
PrivateBPF PrivatePIDs PrivateTmp PrivateUsers ProcSubset ProtectControlGroups ProtectHome ProtectHostname
ProtectProc ProtectSystem ReadOnlyDirectories ReadOnlyPaths ReadWriteDirectories ReadWritePaths
RestrictAddressFamilies RestrictFileSystems RestrictNamespaces RootDirectory RootHash RootHashSignature
RootImage RootImageOptions RootImagePolicy RootMStack RootVerity RuntimeDirectory RuntimeDirectoryMode
RuntimeDirectoryPreserve SELinuxContext SecureBits SetCredential SetCredentialEncrypted SmackProcessLabel
StandardInputData StandardInputText StateDirectory StateDirectoryMode StateDirectoryQuota
SupplementaryGroups SyslogFacility SyslogIdentifier SyslogLevel SystemCallArchitectures
SystemCallErrorNumber SystemCallFilter SystemCallLog TCPWrapName TTYColumns TTYPath TTYRows
TemporaryFileSystem TimerSlackNSec UMask UnsetEnvironment User UserNamespacePath UtmpIdentifier UtmpMode
WorkingDirectory
word: StandardError StandardInput StandardOutput
boolean: BindLogSockets CPUSchedulingResetOnFork CacheDirectoryAccounting DynamicUser IgnoreSIGPIPE
LockPersonality LogsDirectoryAccounting MemoryDenyWriteExecute MemoryKSM MountAPIVFS NoNewPrivileges
PrivateDevices PrivateIPC PrivateMounts PrivateNetwork ProtectClock ProtectKernelLogs ProtectKernelModules
ProtectKernelTunables RemoveIPC RestrictRealtime RestrictSUIDSGID RootEphemeral SetLoginEnvironment
StateDirectoryAccounting SyslogLevelPrefix TTYReset TTYVHangup TTYVTDisallocate
time: LogRateLimitIntervalSec TimeoutCleanSec TimeoutSec
number: LogRateLimitBurst

[Service Socket Mount Swap Scope]
word: KillMode
boolean: SendSIGHUP SendSIGKILL
signal: FinalKillSignal KillSignal RestartKillSignal WatchdogSignal

[Service Socket Mount Swap Scope Slice]
AllowedCPUs AllowedMemoryNodes BPFProgram BindNetworkInterface BlockIODeviceWeight BlockIOReadBandwidth
BlockIOWeight BlockIOWriteBandwidth CPUQuota CPUShares CPUWeight DefaultMemoryLow DefaultMemoryMin
DefaultStartupMemoryLow Delegate DelegateSubgroup DeviceAllow DisableControllers IODeviceLatencyTargetSec
IODeviceWeight IOReadBandwidthMax IOReadIOPSMax IOWeight IOWriteBandwidthMax IOWriteIOPSMax IPAddressAllow
IPAddressDeny IPEgressFilterPath IPIngressFilterPath ManagedOOMMemoryPressure
ManagedOOMMemoryPressureDurationSec ManagedOOMMemoryPressureLimit ManagedOOMMemoryPressureLimitPercent
ManagedOOMPreference ManagedOOMSwap MemoryHigh MemoryLimit MemoryLow MemoryMax MemoryMin MemoryPressureWatch
MemorySwapMax MemoryZSwapMax NFTSet NetClass RestrictNetworkInterfaces Slice SocketBindAllow SocketBindDeny
StartupAllowedCPUs StartupAllowedMemoryNodes StartupBlockIOWeight StartupCPUShares StartupCPUWeight
StartupIOWeight StartupMemoryHigh StartupMemoryLow StartupMemoryMax StartupMemorySwapMax
StartupMemoryZSwapMax TasksMax
word: DevicePolicy
boolean: BlockIOAccounting CPUAccounting CoredumpReceive IOAccounting IPAccounting MemoryAccounting
MemoryZSwapWriteback TasksAccounting
time: CPUQuotaPeriodSec MemoryPressureThresholdSec

[Service]
BusName BusPolicy ExecCondition ExecReload ExecReloadPost ExecStart ExecStartPost ExecStartPre ExecStop
ExecStopPost FileDescriptorStorePreserve FsckPassNo OpenFile PIDFile RebootArgument RefreshOnReload
RestartForceExitStatus RestartPreventExitStatus Sockets SuccessExitStatus SysVStartPriority
USBFunctionDescriptors USBFunctionStrings
word: ExitType FailureAction NotifyAccess OOMPolicy Restart RestartMode StartLimitAction
TimeoutStartFailureMode TimeoutStopFailureMode Type
boolean: GuessMainPID NonBlocking PermissionsStartOnly RemainAfterExit RootDirectoryStartOnly
time: RestartMaxDelaySec RestartSec RuntimeMaxSec RuntimeRandomizedExtraSec StartLimitInterval
TimeoutAbortSec TimeoutStartSec TimeoutStopSec WatchdogSec
number: FileDescriptorStoreMax RestartSteps StartLimitBurst
signal: ReloadSignal

[Socket]
BindIPv6Only BindToDevice DeferTrigger DirectoryMode ExecStartPost ExecStartPre ExecStopPost ExecStopPre
FileDescriptorName IPTOS IPTTL ListenDatagram ListenFIFO ListenMessageQueue ListenNetlink
ListenSequentialPacket ListenSpecial ListenStream ListenUSBFunction Mark MessageQueueMaxMessages
MessageQueueMessageSize PipeSize Priority ReceiveBuffer SendBuffer Service SmackLabel SmackLabelIPIn
SmackLabelIPOut SocketGroup SocketMode SocketProtocol SocketUser Symlinks TCPCongestion Timestamping
boolean: Accept AcceptFileDescriptors Broadcast FlushPending FreeBind KeepAlive NoDelay PassCredentials
PassFileDescriptorsToExec PassPIDFD PassPacketInfo PassSecurity RemoveOnStop ReusePort SELinuxContextFromNet
Transparent Writable
time: DeferAcceptSec DeferTriggerMaxSec KeepAliveIntervalSec KeepAliveTimeSec PollLimitIntervalSec
TriggerLimitIntervalSec
number: Backlog KeepAliveProbes MaxConnections MaxConnectionsPerSource PollLimitBurst TriggerLimitBurst

[Mount]
DirectoryMode FsckPassNo Options Type What Where
boolean: ForceUnmount LazyUnmount ReadWriteOnly SloppyOptions

[Swap]
Options Priority What

[Scope]
word: OOMPolicy
time: RuntimeMaxSec RuntimeRandomizedExtraSec TimeoutStopSec

[Slice]
ConcurrencyHardMax ConcurrencySoftMax

[Timer]
OnCalendar Unit
boolean: DeferReactivation FixedRandomDelay OnClockChange OnTimezoneChange Persistent RemainAfterElapse
WakeSystem
time: AccuracySec OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec RandomizedDelaySec
RandomizedOffsetSec

[Path]
DirectoryMode DirectoryNotEmpty PathChanged PathExists PathExistsGlob PathModified Unit
boolean: MakeDirectory
time: TriggerLimitIntervalSec
number: TriggerLimitBurst

[Automount]
DirectoryMode ExtraOptions Where
time: TimeoutIdleSec
"""


def _read(table: str) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    for block in table.split("\n\n"):
        header, _, words = block.strip().partition("\n")
        kind = ""
        for word in words.split():
            if word.endswith(":"):
                kind = word[:-1]
                continue
            for section in header.strip("[]").split():
                settings.setdefault(section, {})[word] = kind
    return settings


# By section and name: word, boolean, time, number or signal; "" is any other kind.
SETTINGS: Mapping[str, Mapping[str, str]] = _read(_TABLE)


_ACTIONS = (
    "none reboot reboot-force reboot-immediate poweroff poweroff-force poweroff-immediate exit exit-force "
    "soft-reboot soft-reboot-force kexec kexec-force halt halt-force halt-immediate"
)
_FAILURE_MODES = "terminate abort kill"
_JOB_MODES = (
    "fail lenient replace replace-irreversibly isolate flush ignore-dependencies ignore-requirements "
    "triggering restart-dependencies"
)
_OUTPUTS = (
    "inherit null tty journal journal+console kmsg kmsg+console syslog syslog+console socket "
    "fd fd:… file:/… append:/… truncate:/…"
)
# What the settings of the kind "word" take. An ellipsis stands for any text. Not here: "file" without a path,
# which systemd reads, and which then fails at the start.
WORDS = {
    name: frozenset(words.split())
    for name, words in {
        "CollectMode": "inactive inactive-or-failed",
        "DevicePolicy": "auto closed strict",
        "ExitType": "main cgroup",
        "FailureAction": _ACTIONS,
        "JobTimeoutAction": _ACTIONS,
        "KillMode": "control-group mixed process none",
        "NotifyAccess": "none main exec all",
        "OnFailureJobMode": _JOB_MODES,
        "OnSuccessJobMode": _JOB_MODES,
        "OOMPolicy": "continue stop kill",
        "Restart": "no on-success on-failure on-abnormal on-watchdog on-abort always",
        "RestartMode": "normal direct debug",
        "StandardError": _OUTPUTS,
        "StandardInput": "null tty tty-force tty-fail data socket fd fd:… file:/…",
        "StandardOutput": _OUTPUTS,
        "StartLimitAction": _ACTIONS,
        "SuccessAction": _ACTIONS,
        "TimeoutStartFailureMode": _FAILURE_MODES,
        "TimeoutStopFailureMode": _FAILURE_MODES,
        "Type": "simple exec forking oneshot dbus notify notify-reload idle",
    }.items()
}


def sections_of(unit_type: str) -> frozenset[str]:
    """Return the sections that systemd reads in a unit of the type, e.g. service (systemd.unit(5))."""
    own = unit_type.capitalize()
    return frozenset({"Unit", "Install"} | ({own} & SETTINGS.keys()))
